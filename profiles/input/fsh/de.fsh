// What a German Gesamtplan (mappings/de-gesamtplan) and the inventory of offers (mappings/de-angebotsinventar) carry beyond
// R4 and the German base profiles, and their codes.

// ---------------------------------------------------------------- extensions

Extension: WrittenForm
Id: written-form
Title: "In writing"
Description: "Is the plan in writing (§ 121 Abs. 2 SGB IX)?"
Context: CarePlan
* value[x] 1..1
* value[x] only boolean

Extension: HandedOver
Id: handed-over
Title: "Handed to the person"
Description: "When the person was given the plan (§ 121 Abs. 5 SGB IX)."
Context: CarePlan
* value[x] 1..1
* value[x] only date

Extension: CashShareCounselling
Id: cash-share-counselling
Title: "Counselling on the cash share"
Description: "Result of the counselling on the cash share of the standard rate (§ 27a Abs. 3 SGB XII)."
Context: CarePlan
* value[x] 1..1
* value[x] only string

Extension: LeadingCarrier
Id: leading-carrier
Title: "Leading carrier"
Description: "Which rehabilitation carrier leads, as decided under §§ 14 and 15 SGB IX."
Context: CarePlan
* value[x] 1..1
* value[x] only CodeableConcept

Extension: AssessmentInstrument
Id: assessment-instrument
Title: "Assessment instrument"
Description: "With which instrument the need was assessed (§ 13 SGB IX)."
Context: CarePlan
* value[x] 1..1
* value[x] only CodeableConcept

Extension: OutcomeCriteria
Id: outcome-criteria
Title: "Outcome criteria"
Description: "Procedure, measures and criteria by which the effect is judged (§ 121 Abs. 4 Nr. 1 SGB IX)."
Context: CarePlan
* value[x] 1..1
* value[x] only string

Extension: PlanningRegion
Id: planning-region
Title: "Planning region"
Description: "The planning region of the county in which the person lives or the place lies."
Context: Patient.address, Location
* value[x] 1..1
* value[x] only CodeableConcept

Extension: EasyLanguage
Id: easy-language
Title: "Easy language"
Description: "Does the person need easy language?"
Context: Patient
* value[x] 1..1
* value[x] only boolean

Extension: MeetingRefused
Id: meeting-refused
Title: "Why a meeting was refused"
Description: "Why the meeting that was proposed is not to be held. R4 has Appointment.cancelationReason for one that was cancelled only (app-4)."
Context: Appointment
* value[x] 1..1
* value[x] only string

Extension: ProposedBy
Id: proposed-by
Title: "Proposed by"
Description: "Who proposed the conference, in the sender's words."
Context: Appointment
* value[x] 1..1
* value[x] only string

Extension: LumpSumWanted
Id: lump-sum-wanted
Title: "Lump sum wanted"
Description: "Does the person prefer a lump sum to benefits in kind (§ 116 SGB IX)?"
Context: Observation
* value[x] 1..1
* value[x] only boolean

Extension: TaskArea
Id: task-area
Title: "Task area of a guardian"
Description: "What the guardian was appointed for; the guardian speaks for nothing else."
Context: RelatedPerson
* value[x] 1..1
* value[x] only CodeableConcept

Extension: ConsentReserved
Id: consent-reserved
Title: "Consent reserved"
Description: "Did the court reserve consent to the guardian (Einwilligungsvorbehalt)?"
Context: RelatedPerson
* value[x] 1..1
* value[x] only boolean

Extension: ServiceContent
Id: service-content
Title: "Content of a service"
Description: "What the service consists of, in the sender's words."
Context: ServiceRequest
* value[x] 1..1
* value[x] only string

Extension: ServiceExtent
Id: service-extent
Title: "Extent of a service"
Description: "How much of it, in the sender's words: 4 FLS/Woche."
Context: ServiceRequest
* value[x] 1..1
* value[x] only string

Extension: BenefitLaw
Id: benefit-law
Title: "Law of a benefit"
Description: "By which book of the social code the benefit is paid."
Context: ServiceRequest
* value[x] 1..1
* value[x] only CodeableConcept

Extension: BenefitForm
Id: benefit-form
Title: "Form of a benefit"
Description: "In kind, as a personal budget or as a lump sum."
Context: ServiceRequest
* value[x] 1..1
* value[x] only CodeableConcept

Extension: PersonsView
Id: persons-view
Title: "The person's view"
Description: "What the person says about an area of life: what works, what does not, what is to change."
Context: Condition
* extension contains
    can 0..1 and
    cannot 0..1 and
    wants 0..1
* extension[can].value[x] only string
* extension[cannot].value[x] only string
* extension[wants].value[x] only string

// ---------------------------------------------------------------- code systems

CodeSystem: DePlanType
Id: de-plan-type
Title: "Kind of plan"
Description: "Plans of the German law of participation."
* ^caseSensitive = true
* #gesamtplan "Gesamtplan"
* #teilhabeplan "Teilhabeplan"
* #hilfeplan "Hilfeplan"
* #sgb-ix "Plan nach SGB IX"

CodeSystem: DeClosureReason
Id: de-closure-reason
Title: "Reason for ending a plan"
Description: "Why a Gesamtplan ended."
* ^caseSensitive = true
* #ziele-erreicht "Ziele erreicht"
* #kein-bedarf "Kein Bedarf mehr"
* #wegzug "Wegzug"
* #auf-wunsch "Auf Wunsch der Person"
* #verstorben "Verstorben"
* #fortgeschrieben "Fortgeschrieben"

CodeSystem: DeProcedureState
Id: de-procedure-state
Title: "State of the procedure"
Description: "How far the procedure of a Gesamtplan is."
* ^caseSensitive = true
* #beantragt "Beantragt"
* #bedarfsermittlung "Bedarfsermittlung"
* #konferenz "Konferenz"
* #festgestellt "Leistungen festgestellt"
* #aufgestellt "Gesamtplan aufgestellt"
* #in-durchfuehrung "In Durchführung"
* #ueberpruefung "Überprüfung"
* #fortgeschrieben "Fortgeschrieben"
* #beendet "Beendet"

CodeSystem: DeCarrier
Id: de-carrier
Title: "Carrier"
Description: "Kinds of carriers of benefits (§ 6 SGB IX and beyond)."
* ^caseSensitive = true
* #eingliederungshilfe "Träger der Eingliederungshilfe"
* #krankenkasse "Gesetzliche Krankenkasse"
* #arbeit "Bundesagentur für Arbeit"
* #unfallversicherung "Träger der gesetzlichen Unfallversicherung"
* #rentenversicherung "Träger der gesetzlichen Rentenversicherung"
* #entschaedigung "Träger der Sozialen Entschädigung"
* #jugendhilfe "Träger der öffentlichen Jugendhilfe"
* #pflegekasse "Pflegekasse"
* #sozialhilfe "Träger der Sozialhilfe"

CodeSystem: DeAssessmentInstrument
Id: de-assessment-instrument
Title: "Assessment instrument"
Description: "Instruments by which the German states assess needs."
* ^caseSensitive = true
* #bei-nrw "BEI_NRW"
* #itp "Integrierter Teilhabeplan"
* #bei-bw "BEI_BW"
* #beni "B.E.Ni"

CodeSystem: DePlanningRegion
Id: de-planning-region
Title: "Planning region"
Description: "The five planning regions of the county: places to fill in, for their names were never published."
* ^caseSensitive = true
* #PR1 "Planungsregion 1"
* #PR2 "Planungsregion 2"
* #PR3 "Planungsregion 3"
* #PR4 "Planungsregion 4"
* #PR5 "Planungsregion 5"

CodeSystem: DeTaskArea
Id: de-task-area
Title: "Task area"
Description: "Task areas of a legal guardian."
* ^caseSensitive = true
* #gesundheit "Gesundheitssorge"
* #vermoegen "Vermögenssorge"
* #aufenthalt "Aufenthaltsbestimmung"
* #wohnung "Wohnungsangelegenheiten"
* #post "Post und Fernmeldeverkehr"
* #behoerden "Vertretung gegenüber Behörden"

CodeSystem: DeBenefitGroup
Id: de-benefit-group
Title: "Group of benefits"
Description: "Groups of benefits (§ 5 SGB IX and beyond)."
* ^caseSensitive = true
* #soziale-teilhabe "Soziale Teilhabe"
* #arbeit "Teilhabe am Arbeitsleben"
* #bildung "Teilhabe an Bildung"
* #reha "Medizinische Rehabilitation"
* #unterhalt "Unterhaltssichernde und ergänzende Leistung"
* #pflege "Pflege"
* #behandlung "Krankenbehandlung"

CodeSystem: DeBenefitLaw
Id: de-benefit-law
Title: "Law of a benefit"
Description: "The book of the social code by which a benefit is paid."
* ^caseSensitive = true
* #egh "Eingliederungshilfe (SGB IX Teil 2)"
* #sgb-xi "Soziale Pflegeversicherung (SGB XI)"
* #sgb-v "Gesetzliche Krankenversicherung (SGB V)"
* #sgb-xii "Sozialhilfe (SGB XII)"
* #sgb-viii "Kinder- und Jugendhilfe (SGB VIII)"
* #sgb-ii "Grundsicherung für Arbeitsuchende (SGB II)"
* #sgb-iii "Arbeitsförderung (SGB III)"
* #sgb-vi "Gesetzliche Rentenversicherung (SGB VI)"
* #sgb-vii "Gesetzliche Unfallversicherung (SGB VII)"

CodeSystem: DeBenefitForm
Id: de-benefit-form
Title: "Form of a benefit"
Description: "In which form a benefit is given."
* ^caseSensitive = true
* #sachleistung "Sachleistung"
* #budget "Persönliches Budget"
* #pauschal "Pauschale Geldleistung"

CodeSystem: DeDocument
Id: de-document
Title: "Kind of document"
Description: "Documents of the procedure."
* ^caseSensitive = true
* #stellungnahme "Gutachterliche Stellungnahme"
* #gutachten "Sozialmedizinisches Gutachten"
* #basisbogen "Basisbogen"
* #bescheid "Bescheid"
* #bericht "Bericht"

CodeSystem: DeGoal
Id: de-goal
Title: "Kind of goal"
Description: "What part a goal plays in a Gesamtplan."
* ^caseSensitive = true
* #leitziel "Leitziel"
* #ziel "Ziel"
* #teilziel "Teilziel"

CodeSystem: DeNeed
Id: de-need
Title: "Need, resource or area of life"
Description: "What a finding about the person is."
* ^caseSensitive = true
* #beeintraechtigung "Beeinträchtigung"
* #ressource "Ressource"
* #foerderfaktor "Förderfaktor"
* #barriere "Barriere"
* #lebensbereich "Lebensbereich" "An area of life, in the person's words."
* #diagnose "Ärztliche Diagnose" "A diagnosis from a specialist's statement."
* #diagnosecode "Diagnose als Code" "A diagnosis of which only the code is known."

CodeSystem: DeGoalRelation
Id: de-goal-relation
Title: "Relation between goals"
Description: "How a goal relates to another."
* ^caseSensitive = true
* #teil-von "Teil von" "The goal is a part of the other one."

CodeSystem: DeTask
Id: de-task
Title: "Task in a Gesamtplan"
Description: "Tasks about the plan itself."
* ^caseSensitive = true
* #antrag "Antrag auf Leistungen zur Teilhabe" "The application from which the procedure began."

CodeSystem: DeConsent
Id: de-consent
Title: "Consent in a Gesamtplan"
Description: "What a consent is for."
* ^caseSensitive = true
* #einwilligung "Einwilligung in die Übermittlung" "Consent to sharing (§ 67b SGB X, § 23 SGB IX)."

CodeSystem: DeMeeting
Id: de-meeting
Title: "Meeting of a Gesamtplan"
Description: "What a meeting is for."
* ^caseSensitive = true
* #konferenz "Konferenz" "The conference of the plan (§ 119 or § 20 SGB IX)."
* #weitere-konferenz "Weitere Konferenz" "A further conference."
* #naechste-ueberpruefung "Nächste Überprüfung" "The date by which the plan is to be reviewed."
* #ueberpruefung "Überprüfung" "A review."

CodeSystem: DeObservation
Id: de-observation
Title: "Observation in a Gesamtplan"
Description: "What is noted besides goals and services."
* ^caseSensitive = true
* #sicht-der-person "Sicht der Person" "What the person says."
* #aktivitaet "Eigene Aktivität" "Something that the person does."
* #ressource "Selbsthilferessource" "What and who helps anyway."
* #gelingt "Was mir gelingt" "What works."
* #gelingt-nicht "Was nicht so gut gelingt" "What does not work so well."
* #veraendern "Was ich verändern möchte" "What the person wants to change."
* #wunsch "Wunsch- und Wahlrecht" "A wish (§ 8 SGB IX)."
* #zielerreichung "Zielerreichung" "How far a goal was reached at a review."

CodeSystem: DeGuardian
Id: de-guardian
Title: "Guardian"
Description: "Which of several guardians somebody is."
* ^caseSensitive = true
* #betreuung "Rechtliche Betreuung" "The legal guardian."
* #weitere-betreuung "Weitere rechtliche Betreuung" "A further legal guardian."

CodeSystem: DeTeamFunction
Id: de-team-function
Title: "Function in the team of a Gesamtplan"
Description: "How somebody takes part."
* ^caseSensitive = true
* #beteiligt "Beteiligt" "Takes part, known by words only."

// ---------------------------------------------------------------- the inventory of offers

Extension: RegionsRemark
Id: regions-remark
Title: "Remark on the planning regions"
Description: "A remark on the cut of the planning regions."
Context: List
* value[x] 1..1
* value[x] only string

Extension: AlternateName
Id: alternate-name
Title: "Alternate name"
Description: "Another name of an offer."
Context: HealthcareService
* value[x] 1..1
* value[x] only string

Extension: OfferStatus
Id: offer-status
Title: "Status of an offer"
Description: "What HealthcareService.active does not say: closed for a while, or for good."
Context: HealthcareService
* value[x] 1..1
* value[x] only CodeableConcept

Extension: Interpretation
Id: interpretation
Title: "Interpretation"
Description: "Which interpretation an offer has, in words."
Context: HealthcareService
* value[x] 1..1
* value[x] only string

Extension: AgeRange
Id: age-range
Title: "Age range"
Description: "For which ages an offer is."
Context: HealthcareService
* value[x] 1..1
* value[x] only Range

Extension: WaitingTime
Id: waiting-time
Title: "Waiting time"
Description: "How long one waits, in words."
Context: HealthcareService
* value[x] 1..1
* value[x] only string

Extension: Accreditations
Id: accreditations
Title: "Accreditations"
Description: "Accreditations of an offer."
Context: HealthcareService
* value[x] 1..1
* value[x] only string

Extension: Licenses
Id: licenses
Title: "Licences"
Description: "Licences of an offer."
Context: HealthcareService
* value[x] 1..1
* value[x] only string

Extension: OfferAlert
Id: offer-alert
Title: "Alert"
Description: "What those who look for an offer must know."
Context: HealthcareService
* value[x] 1..1
* value[x] only string

Extension: SourceModified
Id: source-modified
Title: "Modified at the source"
Description: "When the entry was last changed in the system that it comes from."
Context: HealthcareService
* value[x] 1..1
* value[x] only dateTime

Extension: OrganizationDescription
Id: organization-description
Title: "Description of an organisation"
Description: "What an organisation is, in words."
Context: Organization
* value[x] 1..1
* value[x] only string

Extension: RequiredDocument
Id: required-document
Title: "Required document"
Description: "What is to be brought along."
Context: HealthcareService
* value[x] 1..1
* value[x] only string

Extension: ServiceAtLocation
Id: service-at-location
Title: "Service at the place"
Description: "What an offer is at this place, in words."
Context: Location
* value[x] 1..1
* value[x] only string

Extension: AttributeLabel
Id: attribute-label
Title: "Label of an attribute"
Description: "Which attribute a characteristic is."
Context: HealthcareService.characteristic
* value[x] 1..1
* value[x] only string

Extension: ScheduleRule
Id: schedule-rule
Title: "Recurrence rule"
Description: "The recurrence rule (RFC 5545) of opening hours as it was sent; where it is not weekly, only the rule says when."
Context: HealthcareService.availableTime
* value[x] 1..1
* value[x] only string

Extension: SchedulePeriod
Id: schedule-period
Title: "Period of opening hours"
Description: "From when to when opening hours hold."
Context: HealthcareService.availableTime
* value[x] 1..1
* value[x] only Period

Extension: ScheduleWords
Id: schedule-words
Title: "Opening hours in words"
Description: "What the sender says about the hours."
Context: HealthcareService.availableTime
* value[x] 1..1
* value[x] only string

Extension: Capacity
Id: capacity
Title: "Capacity"
Description: "Places, places taken, and the waiting time in days."
Context: HealthcareService
* extension contains
    places 0..1 and
    taken 0..1 and
    wait 0..1
* extension[places].value[x] only unsignedInt
* extension[taken].value[x] only unsignedInt
* extension[wait].value[x] only unsignedInt

Extension: Assured
Id: assured
Title: "Assured"
Description: "When and by whom an entry was last checked."
Context: HealthcareService
* extension contains
    date 0..1 and
    by 0..1
* extension[date].value[x] only dateTime
* extension[by].value[x] only string

Extension: Accessibility
Id: accessibility
Title: "Accessibility"
Description: "How accessible a place is. A part that is not there is unknown, never no."
Context: Location
* extension contains
    step-free 0..1 and
    lift 0..1 and
    toilet 0..1 and
    parking 0..1 and
    induction-loop 0..1 and
    guidance 0..1 and
    easy-language 0..1 and
    sign-language 0..1 and
    quiet-room 0..1 and
    companion 0..1 and
    remark 0..1
* extension[step-free].value[x] only CodeableConcept
* extension[lift].value[x] only CodeableConcept
* extension[toilet].value[x] only CodeableConcept
* extension[parking].value[x] only CodeableConcept
* extension[induction-loop].value[x] only CodeableConcept
* extension[guidance].value[x] only CodeableConcept
* extension[easy-language].value[x] only CodeableConcept
* extension[sign-language].value[x] only CodeableConcept
* extension[quiet-room].value[x] only CodeableConcept
* extension[companion].value[x] only CodeableConcept
* extension[remark].value[x] only string

Extension: SourceId
Id: source-id
Title: "Id at the source"
Description: "The id that the sender has for a part of a resource."
Context: HealthcareService.communication, HealthcareService.characteristic, HealthcareService.availableTime, Organization.contact, Organization.identifier
* value[x] 1..1
* value[x] only string

Extension: OrganizationUri
Id: organization-uri
Title: "URI of an organisation"
Description: "The URI by which a directory knows an organisation."
Context: Organization
* value[x] 1..1
* value[x] only uri

Extension: Department
Id: department
Title: "Department"
Description: "The department of a contact person."
Context: Organization.contact
* value[x] 1..1
* value[x] only string

Extension: TelecomNote
Id: telecom-note
Title: "Remark on a telephone number"
Description: "What is said about a telephone number: when it is answered, what for."
Context: HealthcareService.telecom, Location.telecom, Organization.telecom, Organization.contact.telecom
* value[x] 1..1
* value[x] only string

Extension: LanguageNote
Id: language-note
Title: "Remark on a language"
Description: "How a language is spoken at an offer."
Context: HealthcareService.communication
* value[x] 1..1
* value[x] only string

Extension: Transportation
Id: transportation
Title: "How to get there"
Description: "How a place is reached."
Context: Location
* value[x] 1..1
* value[x] only string

Extension: AttentionOf
Id: attention-of
Title: "Attention"
Description: "To whose attention a letter to this address goes."
Context: Location.address
* value[x] 1..1
* value[x] only string

Extension: AreaExtent
Id: area-extent
Title: "Extent of an area"
Description: "The outline of an area as a directory has it: the outline, its form (geojson, topojson, kml, text), and its address."
Context: Location
* extension contains
    extent 0..1 and
    form 0..1 and
    uri 0..1
* extension[extent].value[x] only string
* extension[form].value[x] only string
* extension[uri].value[x] only string

Extension: ScheduleDetails
Id: schedule-details
Title: "More about opening hours"
Description: "Time zone (hours from UTC), address of the schedule, how one attends, and notes."
Context: HealthcareService.availableTime
* extension contains
    timezone 0..1 and
    link 0..1 and
    attending 0..1 and
    notes 0..1
* extension[timezone].value[x] only decimal
* extension[link].value[x] only string
* extension[attending].value[x] only string
* extension[notes].value[x] only string

Extension: CostOption
Id: cost-option
Title: "Cost option"
Description: "What an offer costs whom: for whom, how much, what the amount is for, and when it holds."
Context: HealthcareService
* extension contains
    id 0..1 and
    option 0..1 and
    amount 0..1 and
    what 0..1 and
    period 0..1
* extension[id].value[x] only string
* extension[option].value[x] only string
* extension[amount].value[x] only Money
* extension[what].value[x] only string
* extension[period].value[x] only Period

Extension: AccessibilityWords
Id: accessibility-words
Title: "Accessibility in words"
Description: "How accessible a place is, in words (HSDS: accessibility)."
Context: Location
* extension contains
    id 0..1 and
    description 0..1 and
    details 0..1 and
    url 0..1
* extension[id].value[x] only string
* extension[description].value[x] only string
* extension[details].value[x] only string
* extension[url].value[x] only string

CodeSystem: DeOfferStatus
Id: de-offer-status
Title: "Status of an offer"
Description: "States of an offer as HSDS tells them."
* ^caseSensitive = true
* #active "Active"
* #inactive "Inactive"
* #defunct "Defunct"
* #temporarily-closed "Temporarily closed"

CodeSystem: DeNumber
Id: de-number
Title: "Number of an organisation in a directory"
Description: "Which of an organisation's numbers is the directory's own."
* ^caseSensitive = true
* #hsds "Kennung in HSDS" "The id of the organisation in a directory of HSDS."

CodeSystem: DeFieldOfHelp
Id: de-field-of-help
Title: "Field of help"
Description: "The fields of help of integrated planning."
* ^caseSensitive = true
* #behindertenhilfe "Behindertenhilfe"
* #sozialpsychiatrie "Sozialpsychiatrie"
* #pflege "Pflege"
* #regelangebot "Regelangebot mit Behindertenhilfe"

CodeSystem: DeAvailability
Id: de-availability
Title: "Availability"
Description: "Is a feature there? What nobody said is not `no`."
* ^caseSensitive = true
* #yes "Ja"
* #no "Nein"
* #partly "Teilweise"
* #on-request "Auf Anfrage"
* #unknown "Unbekannt"
