// What the Danish plans (mappings/dk-integrerede-forloeb, mappings/dk-borgerens-plan) carry beyond R4, dk-core and KL's profiles.

// ---------------------------------------------------------------- extensions

Extension: PlanSummary
Id: summary
Title: "Summary"
Description: "What the plan is about, in a sentence, beside its description."
Context: CarePlan
* value[x] 1..1
* value[x] only string

Extension: DkSubmodel
Id: dk-submodel
Title: "Sub-model"
Description: "Which of the six sub-models of the integrated courses the plan follows, in the sender's words: municipality and region with their codes."
Context: CarePlan
* value[x] 1..1
* value[x] only string

Extension: ActingMunicipality
Id: acting-municipality
Title: "Acting municipality"
Description: "The municipality that acts (handlekommune), where it is not the one of residence; a code of dk-core."
Context: CarePlan
* value[x] 1..1
* value[x] only CodeableConcept

Extension: SharedHouse
Id: shared-house
Title: "Shared house"
Description: "A house that municipality and region run together."
Context: CarePlan
* value[x] 1..1
* value[x] only string

Extension: SharingNote
Id: sharing-note
Title: "Who may see the plan, in words"
Description: "What the sender says about sharing. Nothing is decided by it: consents and statutory bases decide."
Context: CarePlan
* value[x] 1..1
* value[x] only string

Extension: StatutoryBasis
Id: statutory-basis
Title: "Statutory basis for disclosure"
Description: "The statute that lets the parties of the plan exchange what is necessary without the person's consent."
Context: CarePlan
* value[x] 1..1
* value[x] only CodeableConcept

Extension: DischargeAgreement
Id: discharge-agreement
Title: "Discharge agreement"
Description: "An agreement at discharge under § 13 a of the Danish psychiatric act (udskrivningsaftale)."
Context: CarePlan
* extension contains
    law 0..1 and
    date 0..1 and
    end 0..1 and
    breach 0..1
* extension[law].value[x] only string
* extension[date].value[x] only date
* extension[end].value[x] only date
* extension[breach].value[x] only string

Extension: CoordinationPlan
Id: coordination-plan
Title: "Coordination plan"
Description: "A plan without the person's part under § 13 b of the Danish psychiatric act (koordinationsplan). takesPart: does the person take part; necessaryOnly: is only what is necessary exchanged; toSay: what the plan has to say."
Context: CarePlan
* extension contains
    law 0..1 and
    date 0..1 and
    end 0..1 and
    takesPart 0..1 and
    necessaryOnly 0..1 and
    toSay 0..1
* extension[law].value[x] only string
* extension[date].value[x] only date
* extension[end].value[x] only date
* extension[takesPart].value[x] only boolean
* extension[necessaryOnly].value[x] only boolean
* extension[toSay].value[x] only string

Extension: ActionPlan
Id: action-plan
Title: "Action plan"
Description: "What a plan under § 141 of the Danish act on social services (handleplan) says beside its purpose and its services. duration: how long the help is expected to last; housing, occupation, personalHelp, treatment, aids, other: what is particular about them; wholePlan: is it one plan for the whole (helhedsorienteret plan, stk. 7)."
Context: CarePlan
* extension contains
    law 0..1 and
    duration 0..1 and
    housing 0..1 and
    occupation 0..1 and
    personalHelp 0..1 and
    treatment 0..1 and
    aids 0..1 and
    other 0..1 and
    wholePlan 0..1
* extension[law].value[x] only string
* extension[duration].value[x] only string
* extension[housing].value[x] only string
* extension[occupation].value[x] only string
* extension[personalHelp].value[x] only string
* extension[treatment].value[x] only string
* extension[aids].value[x] only string
* extension[other].value[x] only string
* extension[wholePlan].value[x] only boolean

Extension: DkCourseTheme
Id: dk-course-theme
Title: "Theme of a child's course"
Description: "What the course of a child or young person is about, by KL's codes (LTT)."
Context: CarePlan
* value[x] 1..1
* value[x] only CodeableConcept

Extension: DkReferredTo
Id: dk-referred-to
Title: "Referred to"
Description: "Where a child or young person was referred to, by KL's codes (LTT)."
Context: CarePlan
* value[x] 1..1
* value[x] only CodeableConcept

Extension: PreviousPlan
Id: previous-plan
Title: "Plan from before"
Description: "A plan of another kind that ended before this one began, and that this one does not replace."
Context: CarePlan
* extension contains
    type 0..1 and
    ended 0..1
* extension[type].value[x] only string
* extension[ended].value[x] only date

Extension: DimensionSet
Id: dimension-set
Title: "Set of dimensions"
Description: "Which set of dimensions of Forandringskompasset the plan's progress is scored by."
Context: CarePlan
* value[x] 1..1
* value[x] only CodeableConcept

Extension: GoalTheme
Id: goal-theme
Title: "Theme of a goal"
Description: "The theme or sub-theme that a goal belongs to, where no condition of the plan stands for it."
Context: Goal
* value[x] 1..1
* value[x] only CodeableConcept

Extension: GoalOwner
Id: goal-owner
Title: "Owner of a goal"
Description: "Whose goal it is: the person's, a party's, or everybody's together."
Context: Goal
* value[x] 1..1
* value[x] only CodeableConcept

Extension: Extent
Id: extent
Title: "Extent"
Description: "How much of an intervention there is, in the sender's words: hours or times."
Context: ServiceRequest
* value[x] 1..1
* value[x] only string

Extension: Method
Id: method
Title: "Method"
Description: "The method that an intervention follows, in the sender's words."
Context: ServiceRequest
* value[x] 1..1
* value[x] only string

Extension: Guardianship
Id: guardianship
Title: "Guardianship"
Description: "Form of the guardianship by the paragraph of the Danish act (par-5, par-6, par-7), and what it or a power of attorney covers."
Context: RelatedPerson
* extension contains
    form 0..1 and
    scope 0..1
* extension[form].value[x] only code
* extension[scope].value[x] only string

Extension: AssessedBy
Id: assessed-by
Title: "Assessed by"
Description: "Who filled in an assessment, beside the unit that answers for it."
Context: Observation
* value[x] 1..1
* value[x] only Reference(Practitioner or PractitionerRole or RelatedPerson or Patient or Organization)

Extension: AssessorContact
Id: assessor-contact
Title: "Contact of the assessor"
Description: "How who filled in an assessment is reached."
Context: Observation
* extension contains
    phone 0..1 and
    email 0..1
* extension[phone].value[x] only string
* extension[email].value[x] only string

Extension: Responsibility
Id: responsibility
Title: "Responsibility"
Description: "What a member of the team answers for, in words."
Context: CareTeam.participant
* value[x] 1..1
* value[x] only string

// ---------------------------------------------------------------- code systems

CodeSystem: DisclosureBasisCodes
Id: disclosure-basis
Title: "Statutory basis for disclosure"
Description: "Statutes that let the parties of a plan exchange what is necessary without the person's consent."
* ^caseSensitive = true
* #dk-psykiatriloven-13c "Psykiatriloven § 13 c" "Denmark: ward and authorities may exchange necessary private information to make and supervise a discharge agreement or a coordination plan."

CodeSystem: DkPart
Id: dk-part
Title: "Kind of party"
Description: "Which kind of party provides something in a Danish plan."
* ^caseSensitive = true
* #kommune "Kommune" "The municipality."
* #region "Region" "The region."
* #skole "Skole" "The school."
* #praktiserende-laege "Praktiserende læge" "The general practitioner."
* #frivillig "Frivillig" "Volunteers."
* #borger "Borger" "The person."
* #paaroerende "Pårørende" "A relative."
* #anden "Anden" "Somebody else."

CodeSystem: DkPlanCategory
Id: dk-plan-category
Title: "Kind of Danish plan"
Description: "What a plan is under the Danish psychiatric act, and the course of a child or young person."
* ^caseSensitive = true
* #udskrivningsaftale "Udskrivningsaftale" "A discharge agreement, § 13 a."
* #koordinationsplan "Koordinationsplan" "A coordination plan without the person's part, § 13 b."
* #boerneforloeb "Børneforløb" "A course of a child or young person (LTT): the code beside this one says of which kind."

CodeSystem: DkTeamRole
Id: dk-team-role
Title: "Role in a Danish municipal team"
Description: "Roles of authorities and providers in a course, by KL's words."
* ^caseSensitive = true
* #koordinerende-myndighed "Koordinerende myndighed" "The authority that coordinates."
* #samarbejdende-myndighed "Samarbejdende myndighed" "An authority that cooperates."
* #koordinerende-udfoerer "Koordinerende udfører" "The provider that coordinates."

CodeSystem: DkCommunityRole
Id: dk-community-role
Title: "Role in the work community"
Description: "Roles in the work community of Borgerens Plan."
* ^caseSensitive = true
* #borger "Borger" "The citizen."
* #myndighed "Myndighed" "The authority."
* #udfoerer "Udfører" "A provider."
* #forvaltning "Forvaltning" "Another administration of the municipality."
* #region "Region" "The region."

CodeSystem: DkTeamFunction
Id: dk-team-function
Title: "Function in the team of an integrated course"
Description: "What somebody does for the plan itself, beside the part taken in it."
* ^caseSensitive = true
* #ansvarlig-overlaege "Ansvarlig overlæge" "The chief physician who answers for the discharge agreement."
* #koordinationsplan-overlaege "Ansvarlig overlæge for koordinationsplanen" "The chief physician who answers for the coordination plan."
* #kontaktperson-kommune "Kontaktperson i kommunen" "Contact person in the municipality."
* #kontaktperson-region "Kontaktperson i regionen" "Contact person in the region."
* #aftalepart "Part i udskrivningsaftalen" "Party of the discharge agreement."
* #koordinationspart "Part i koordinationsplanen" "Party of the coordination plan."

CodeSystem: DkTeam
Id: dk-team
Title: "Kind of team"
Description: "Tells the team of the plan from the offers that provide its services."
* ^caseSensitive = true
* #plan "Team om planen" "The team of the plan."

CodeSystem: DkGoal
Id: dk-goal
Title: "Goal of a Danish plan"
Description: "What a goal stands for in the sender's record, beside KL's category."
* ^caseSensitive = true
* #indsatsformaal "Indsatsformål" "The purpose of the whole intervention."
* #maalepunkt "Målepunkt" "The figure by which the course is measured."
* #borgerens-stemme "Borgerens stemme" "The person's own words at the head of the plan."

CodeSystem: DkGoalRelation
Id: dk-goal-relation
Title: "Relation of goals"
Description: "How a goal relates to the one above it."
* ^caseSensitive = true
* #baseret-paa "based-on" "It is based on the other one."
* #delmaal "Delmål" "It is a part of the other one, agreed with somebody for some time."

CodeSystem: DkGoalOwner
Id: dk-goal-owner
Title: "Owner of a goal"
Description: "Whose goal it is."
* ^caseSensitive = true
* #faelles "Fælles" "Everybody's together."
* #borger "Borger" "The person's."
* #myndighed "Myndighed" "The authority's."
* #udfoerer "Udfører" "The provider's."

CodeSystem: DkConsent
Id: dk-consent
Title: "Whose consent"
Description: "Whose consent to a Danish plan it is."
* ^caseSensitive = true
* #borger "Borgerens samtykke" "The person's own."
* #foraelder "Forælders samtykke" "A parent's."

CodeSystem: DkMeeting
Id: dk-meeting
Title: "Meeting of a Danish plan"
Description: "What a meeting is for."
* ^caseSensitive = true
* #moede "Møde" "A network meeting or another one."
* #opfoelgning "Opfølgning" "A follow-up of the plan."

CodeSystem: DkObservation
Id: dk-observation
Title: "Observation in a Danish plan"
Description: "What is noted in a Danish plan besides goals and interventions."
* ^caseSensitive = true
* #kriseplan "Kriseplan" "What to do when it gets worse."
* #advarselstegn "Advarselstegn" "An early sign that it is getting worse."
* #trin "Trin i kriseplan" "A step of the crisis plan."
* #aftalt-med "Kriseplan aftalt med" "With whom the crisis plan was agreed."
* #diagnose "Lægefaglig diagnose, som oplyst" "A diagnosis as it was told, with its source."
* #udgangspunkt "Målepunkt, udgangspunkt" "The figure at the start of the course."
* #maaling "Målepunkt, måling" "The figure at some time of the course."
* #ressource "Ressource" "What the person can do and has."
* #fremdrift "Fremdrift" "A score of a goal."
* #progression "Progression" "A score of a dimension."
* #maalstatus "Status for mål" "How far a goal was reached at a follow-up."

CodeSystem: DkNeed
Id: dk-need
Title: "Target group or condition"
Description: "What a need in a Danish plan is."
* ^caseSensitive = true
* #maalgruppe "Målgruppe" "A target group that the person belongs to."
* #tilstand "Tilstand" "A condition of the person."

CodeSystem: DkEncounter
Id: dk-encounter
Title: "Stay"
Description: "What a stay is in a Danish plan."
* ^caseSensitive = true
* #indlaeggelse "Indlæggelse" "The stay that the discharge agreement ends."

CodeSystem: DkIntervention
Id: dk-intervention
Title: "Kind of request in a Danish plan"
Description: "Requests that the sender's record keeps apart from its services."
* ^caseSensitive = true
* #henvendelse "Henvendelse" "The enquiry by which the case began."
* #henvisning "Henvisning" "The referral to child and youth psychiatry."
* #tilbud-13a "Tilbud i udskrivningsaftale" "Offered in a discharge agreement."
* #tilbud-13b "Tilbud i koordinationsplan" "Offered in a coordination plan."
* #aftale "Aftale om dokumentation og opfølgning" "What is documented and when it is followed up."

CodeSystem: DkTask
Id: dk-task
Title: "Task in a Danish plan"
Description: "What a task is for, where it does not carry out an intervention."
* ^caseSensitive = true
* #delaftale "Aftale om delmål" "Somebody answers for a sub-goal."

CodeSystem: DkRelation
Id: dk-relation
Title: "Relation to the person"
Description: "What a related person is in the sender's record."
* ^caseSensitive = true
* #foraelder "Forælder" "A parent."
* #repraesentant "Repræsentant" "A guardian, companion, holder of a power of attorney or relative."

CodeSystem: DkDimensionSet
Id: dk-dimension-set
Title: "Set of dimensions"
Description: "Sets of dimensions of Forandringskompasset, by target group."
* ^caseSensitive = true
* #plejetilbud-udsatte "Plejetilbud for udsatte" "Care homes for people in a vulnerable position."
* #misbrug "Misbrug" "Treatment of addiction."

CodeSystem: DkDimension
Id: dk-dimension
Title: "Dimension of progress"
Description: "Dimensions of Forandringskompasset, of both sets."
* ^caseSensitive = true
* #bolig "Bolig"
* #psykisk-trivsel "Psykisk trivsel"
* #fysisk-helbred "Fysisk helbred"
* #egenomsorg "Egenomsorg"
* #alkohol "Alkohol"
* #illegale-stoffer "Illegale stoffer"
* #oekonomi "Økonomi"
* #aktiviteter-beskaeftigelse "Aktiviteter og beskæftigelse"
* #netvaerk "Netværk"
* #relationer-rammer "Relationer og rammer"
* #stoffer "Stoffer"
* #stoffer-stoffrihed "Stoffer (med mulighed for stoffrihed)"
* #fysisk-helbred-egenomsorg "Fysisk helbred og egenomsorg"
* #psykisk-helbred "Psykisk helbred"
* #netvaerk-familie "Sociale netværk og familie"
* #kriminalitet "Kriminalitet"
* #beskaeftigelse-uddannelse "Beskæftigelse og uddannelse"
* #struktureret-dagligdag "Struktureret dagligdag"
* #foraeldreressourcer "Forældreressourcer"
