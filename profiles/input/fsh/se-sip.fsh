// What a Swedish SIP (mappings/se-sip) carries beyond R4, and its codes.

// ---------------------------------------------------------------- extensions

Extension: ApprovedForPatient
Id: approved-for-patient
Title: "Approved for the patient"
Description: "May the person read the plan in the national e-services (RIV-TA GetCarePlans: approvedForPatient)?"
Context: CarePlan
* value[x] 1..1
* value[x] only boolean

Extension: ClosureReason
Id: closure-reason
Title: "Reason for closing"
Description: "Why the plan was closed. R4 has no CarePlan.statusReason."
Context: CarePlan
* value[x] 1..1
* value[x] only CodeableConcept

Extension: ClosureComment
Id: closure-comment
Title: "Remark on closing"
Description: "What was said when the plan was closed."
Context: CarePlan
* value[x] 1..1
* value[x] only string

Extension: BirthDateNote
Id: birth-date-note
Title: "Remark on the birth date"
Description: "What the sender remarks about the birth date."
Context: Patient
* value[x] 1..1
* value[x] only string

Extension: MunicipalityCode
Id: municipality-code
Title: "Municipality code"
Description: "The Swedish municipality code (kommunkod, four digits) of the address."
Context: Patient.address
* value[x] 1..1
* value[x] only code

Extension: ConsentForm
Id: consent-form
Title: "Form of the consent"
Description: "How the consent was given, in the sender's words: in writing, by word of mouth and noted."
Context: Consent
* value[x] 1..1
* value[x] only string

Extension: ConsentObtainedBy
Id: consent-obtained-by
Title: "Consent obtained by"
Description: "Who asked for the consent."
Context: Consent
* value[x] 1..1
* value[x] only Reference(Practitioner or PractitionerRole or RelatedPerson or Patient or Organization)

Extension: ChildView
Id: child-view
Title: "The child's view"
Description: "What the child thinks of the plan and of sharing it."
Context: Consent
* value[x] 1..1
* value[x] only string

Extension: MeetingStatus
Id: meeting-status
Title: "Status of a meeting without an end"
Description: "What the sender says about a meeting whose length is not known, where R4 asks for an end (invariants app-2, app-3)."
Context: Appointment
* value[x] 1..1
* value[x] only code

Extension: MeetingLink
Id: meeting-link
Title: "Address of the video meeting"
Description: "Where to join the meeting by video."
Context: Appointment
* value[x] 1..1
* value[x] only url

Extension: MeetingForm
Id: meeting-form
Title: "Form of the meeting"
Description: "In person, by video or both, in the sender's words."
Context: Appointment
* value[x] 1..1
* value[x] only string

Extension: SvuInskrivningsmeddelande
Id: svu-inskrivningsmeddelande
Title: "Inskrivningsmeddelande"
Description: "When the concerned units were told of the admission (lag 2017:612)."
Context: Encounter
* value[x] 1..1
* value[x] only dateTime

Extension: SvuPlaneradUtskrivning
Id: svu-planerad-utskrivning
Title: "Planerad utskrivning"
Description: "The planned discharge."
Context: Encounter
* value[x] 1..1
* value[x] only dateTime

Extension: SvuKallelseSip
Id: svu-kallelse-sip
Title: "Kallelse till SIP"
Description: "When the region called to the SIP meeting."
Context: Encounter
* value[x] 1..1
* value[x] only dateTime

Extension: SvuUtskrivningsklar
Id: svu-utskrivningsklar
Title: "Utskrivningsklar"
Description: "When the physician judged the person ready for discharge."
Context: Encounter
* value[x] 1..1
* value[x] only dateTime

Extension: SvuBetalningsansvarFrom
Id: svu-betalningsansvar-from
Title: "Betalningsansvar från"
Description: "From when the municipality pays."
Context: Encounter
* value[x] 1..1
* value[x] only dateTime

Extension: TimeFrame
Id: time-frame
Title: "Time frame of a goal"
Description: "True: the due date is meant as a time frame. Words: a time frame that is not a date."
Context: Goal.target
* value[x] 1..1
* value[x] only boolean or string

Extension: NeedArea
Id: need-area
Title: "Area of life"
Description: "The area of life that a need is about, in the sender's words."
Context: Condition
* value[x] 1..1
* value[x] only string

Extension: LegalBasis
Id: legal-basis
Title: "Legal basis"
Description: "The law that a plan or an intervention rests on, in the sender's words."
Context: ServiceRequest, CarePlan
* value[x] 1..1
* value[x] only string

Extension: FollowUpMeeting
Id: follow-up-meeting
Title: "Follow-up"
Description: "The follow-up at which this was judged."
Context: Observation
* value[x] 1..1
* value[x] only Reference(Appointment)

Extension: Signature
Id: signature
Title: "Signature"
Description: "Who signed the plan, in which capacity and when (underskrift, justering). R4 has no CarePlan.signature."
Context: CarePlan
* extension contains
    who 1..1 and
    role 0..1 and
    when 0..1
* extension[who].value[x] only Reference(Practitioner or PractitionerRole or RelatedPerson or Patient)
* extension[role].value[x] only string
* extension[when].value[x] only dateTime

// ---------------------------------------------------------------- code systems

CodeSystem: SipGoal
Id: sip-goal
Title: "Kind of goal in a SIP"
Description: "What part a goal plays in a SIP."
* ^caseSensitive = true
* #viktigt "Vad är viktigt för dig?" "What matters to the person, in the person's own words."
* #huvudmal "Huvudmål" "The main goal."
* #delmal "Delmål" "A part of the main goal."

CodeSystem: SipGoalRelation
Id: sip-goal-relation
Title: "Relation between goals in a SIP"
Description: "How a goal relates to another."
* ^caseSensitive = true
* #del-av "Del av" "The goal is a part of the other one."

CodeSystem: SipTask
Id: sip-task
Title: "Task in a SIP"
Description: "Tasks about the plan itself."
* ^caseSensitive = true
* #initiativ "Initiativ till SIP" "Somebody saw the need of a SIP."

CodeSystem: SipConsent
Id: sip-consent
Title: "Whose consent"
Description: "Whose consent to a SIP it is."
* ^caseSensitive = true
* #samtycke "Den enskildes samtycke" "The person's own."
* #vardnadshavare "Vårdnadshavares samtycke" "A guardian's, for a person under 18."

CodeSystem: SipMeeting
Id: sip-meeting
Title: "Meeting of a SIP"
Description: "What a meeting is for."
* ^caseSensitive = true
* #kallelse "Kallelse till SIP-möte" "The meeting at which the plan is made."
* #uppfoljning "Uppföljning" "A follow-up of the plan."

CodeSystem: SipObservation
Id: sip-observation
Title: "Observation in a SIP"
Description: "What is noted in a SIP besides goals and interventions."
* ^caseSensitive = true
* #krisplan "Krisplan" "What to do when it gets worse."
* #tidigt-tecken "Tidigt tecken" "An early sign that it is getting worse."
* #kriskontakt "Kontakt vid kris" "Whom to turn to when it gets worse."
* #maluppfyllelse "Måluppfyllelse" "How far a goal was reached at a follow-up."

CodeSystem: SipIntervention
Id: sip-intervention
Title: "Kind of intervention in a SIP"
Description: "Interventions that the law tells apart."
* ^caseSensitive = true
* #atgard-av-annan "Åtgärd av annan än huvudmännen" "Done by others than the municipality and the region."

CodeSystem: SipTeamFunction
Id: sip-team-function
Title: "Function in the team of a SIP"
Description: "What somebody does for the plan itself, beside the part taken in it."
* ^caseSensitive = true
* #samordnare "Samordnare" "Coordinates the plan."
* #fast-vardkontakt "Fast vårdkontakt" "The permanent care contact."
* #sammankallande "Sammankallande" "Called the meeting."
* #motesledare "Mötesledare" "Led the meeting."
* #dokumentationsansvarig "Dokumentationsansvarig" "Writes the plan down."

CodeSystem: SipNeed
Id: sip-need
Title: "Need or situation"
Description: "What a note about the person's situation is."
* ^caseSensitive = true
* #behov "Behov" "A need."
* #nulage "Nuläge" "The present situation."

CodeSystem: SipClosureReason
Id: sip-closure-reason
Title: "Reason for closing a SIP"
Description: "Why a SIP was closed."
* ^caseSensitive = true
* #mal-uppnadda "Mål uppnådda" "The goals were reached."
* #inget-samordningsbehov "Inget samordningsbehov" "No need of coordination is left."
* #samtycke-atertaget "Samtycke återtaget" "The person withdrew the consent."
* #flytt "Flytt" "The person moved."
* #avliden "Avliden" "The person died."

CodeSystem: Huvudman
Id: huvudman
Title: "Principal"
Description: "Which principal answers for something."
* ^caseSensitive = true
* #kommun "Kommun" "The municipality."
* #region "Region" "The region."
* #annan "Annan" "Somebody else."
