// What an enquiry at WippCare (mappings/at-wippcare) carries beyond R4 and the Austrian core profiles, and its codes.

// ---------------------------------------------------------------- extensions

Extension: EnquiryConsent
Id: enquiry-consent
Title: "Consent of an enquiry"
Description: "The consent to passing on what an enquiry is about, where there is no plan that holds it."
Context: Task
* value[x] 1..1
* value[x] only Reference(Consent)

Extension: EnquirySummary
Id: enquiry-summary
Title: "Summary of an enquiry"
Description: "What an enquiry is about, in a sentence."
Context: Task
* value[x] 1..1
* value[x] only string

Extension: ContactChannel
Id: contact-channel
Title: "Channel of contact"
Description: "How the first contact came about."
Context: Task
* value[x] 1..1
* value[x] only CodeableConcept

Extension: Anonymous
Id: anonymous
Title: "Anonymous"
Description: "Was the enquiry made without personal data? Then no Patient belongs to it."
Context: Task
* value[x] 1..1
* value[x] only boolean

Extension: ReceivedBy
Id: received-by
Title: "Received by"
Description: "Who took the enquiry, in the sender's words."
Context: Task
* value[x] 1..1
* value[x] only string

Extension: DecidedBy
Id: decided-by
Title: "Decided by"
Description: "Who took the clearing decision, in the sender's words."
Context: Task
* value[x] 1..1
* value[x] only string

Extension: PassedOnTo
Id: passed-on-to
Title: "Passed on to"
Description: "The authority that the enquiry was passed on to, in the sender's words."
Context: Task
* value[x] 1..1
* value[x] only string

Extension: ConsentWithdrawn
Id: consent-withdrawn
Title: "Consent withdrawn"
Description: "When the consent was withdrawn."
Context: Consent
* value[x] 1..1
* value[x] only dateTime

Extension: ConsentRemark
Id: consent-remark
Title: "Remark on the consent"
Description: "A remark on the consent."
Context: Consent
* value[x] 1..1
* value[x] only string

Extension: RepresentationKind
Id: representation-kind
Title: "Kind of representation"
Description: "By what right somebody represents the person (Erwachsenenschutzgesetz)."
Context: RelatedPerson
* value[x] 1..1
* value[x] only CodeableConcept

Extension: RepresentationSphere
Id: representation-sphere
Title: "Sphere of a representation"
Description: "What the representative may decide; nothing else."
Context: RelatedPerson
* value[x] 1..1
* value[x] only CodeableConcept

Extension: GoalOrigin
Id: goal-origin
Title: "Origin of a goal"
Description: "Where a goal came from, in the sender's words."
Context: Goal
* value[x] 1..1
* value[x] only string

Extension: Precaution
Id: precaution
Title: "Precaution"
Description: "A precaution that the person took."
Context: CarePlan
* value[x] 1..1
* value[x] only string

Extension: Qualification
Id: qualification
Title: "Qualification"
Description: "What the person who looks for work brings."
Context: ServiceRequest
* value[x] 1..1
* value[x] only string

Extension: LanguageSpoken
Id: language-spoken
Title: "Language spoken"
Description: "The language that the person speaks."
Context: ServiceRequest
* value[x] 1..1
* value[x] only CodeableConcept

Extension: ResponsibleWords
Id: responsible-words
Title: "Responsible, in words"
Description: "Who is responsible, as the sender wrote it, where that names several."
Context: ServiceRequest
* value[x] 1..1
* value[x] only string

Extension: ExchangeEnquiry
Id: exchange-enquiry
Title: "Enquiry of an offer"
Description: "The enquiry by which an offer came into the exchange."
Context: HealthcareService
* value[x] 1..1
* value[x] only Reference(Task)

Extension: HoursAWeek
Id: hours-a-week
Title: "Hours a week"
Description: "Hours a week of an offer."
Context: HealthcareService
* value[x] 1..1
* value[x] only decimal

Extension: OfferPeriod
Id: offer-period
Title: "Period of an offer"
Description: "From when to when an offer holds."
Context: HealthcareService
* value[x] 1..1
* value[x] only Period

Extension: OfferState
Id: offer-state
Title: "State of an offer"
Description: "Is the offer still open?"
Context: HealthcareService
* value[x] 1..1
* value[x] only CodeableConcept

Extension: ContactMunicipality
Id: contact-municipality
Title: "Municipality of an enquiry"
Description: "Where an enquiry comes from: name and municipality code (GKZ, five digits, a string). It stands here because an anonymous enquiry has no address."
Context: Task
* extension contains
    name 0..1 and
    code 0..1
* extension[name].value[x] only string
* extension[code].value[x] only string

Extension: CaseManagement
Id: case-management
Title: "Steps of case management"
Description: "The steps of case management that R4's CarePlan has no element for."
Context: CarePlan
* extension contains
    assessment 0..1 and
    linking 0..1 and
    evaluation 0..1 and
    confirmed 0..1
* extension[assessment].value[x] only dateTime
* extension[linking].value[x] only Period
* extension[evaluation].value[x] only dateTime
* extension[confirmed].value[x] only dateTime

Extension: CustodianChange
Id: custodian-change
Title: "Change of the owning body"
Description: "When the office that keeps the record passed from one owning body to another, and why."
Context: Task
* extension contains
    from 0..1 and
    to 1..1 and
    when 0..1 and
    why 0..1
* extension[from].value[x] only Reference(Organization)
* extension[to].value[x] only Reference(Organization)
* extension[when].value[x] only dateTime
* extension[why].value[x] only string

// ---------------------------------------------------------------- code systems

CodeSystem: AtContactChannel
Id: at-contact-channel
Title: "Channel of contact"
Description: "How somebody turned to the office."
* ^caseSensitive = true
* #telefon "Telefon"
* #besuch "Besuch"
* #sprechtag "Sprechtag in der Gemeinde"
* #hausbesuch "Hausbesuch im Seitental"
* #e-mail "E-Mail"
* #plattform "Plattform"

CodeSystem: AtTopic
Id: at-topic
Title: "Topic"
Description: "What an enquiry is about."
* ^caseSensitive = true
* #pflege "Pflege"
* #finanzen "Finanzen"
* #wohnen "Wohnen"
* #trennung "Trennung"
* #todesfall "Todesfall"
* #sucht "Sucht"
* #arbeit "Arbeit"
* #migration-sprache "Migration und Sprache"
* #psychische-krise "Psychische Krise"
* #kinder "Kinder"
* #versicherung "Versicherung"
* #ueberlastung "Überlastung Angehöriger"

CodeSystem: AtClearingResult
Id: at-clearing-result
Title: "Result of clearing"
Description: "What was decided before any service is used."
* ^caseSensitive = true
* #information "Nur Information"
* #selbst-geloest "Selbst gelöst"
* #vermittelt "Vermittelt"
* #case-management "Case Management"
* #abgelehnt "Abgelehnt"
* #weitergeleitet "Weitergeleitet an Behörde"

CodeSystem: AtOption
Id: at-option
Title: "Option"
Description: "Options that are looked at before a service is used, volunteers before paid services."
* ^caseSensitive = true
* #ehrenamt "Ehrenamt"
* #nachbarschaft "Nachbarschaft"
* #mobile-dienste "Mobile Dienste"
* #tagesbetreuung "Tagesbetreuung"
* #pflegegeld "Pflegegeld"
* #stationaer "Stationäre Pflege"

CodeSystem: AtReferralState
Id: at-referral-state
Title: "State of a referral"
Description: "What the state of a Task does not say."
* ^caseSensitive = true
* #waitlisted "Auf der Warteliste"

CodeSystem: AtRepresentation
Id: at-representation
Title: "Kind of representation"
Description: "By what right somebody represents a person."
* ^caseSensitive = true
* #vorsorgevollmacht "Vorsorgevollmacht"
* #gewaehlt "Gewählte Erwachsenenvertretung"
* #gesetzlich "Gesetzliche Erwachsenenvertretung"
* #gerichtlich "Gerichtliche Erwachsenenvertretung"
* #obsorge "Obsorge"

CodeSystem: AtSphere
Id: at-sphere
Title: "Sphere of a representation"
Description: "What a representative may decide."
* ^caseSensitive = true
* #gesundheit "Gesundheit"
* #finanzen "Finanzen"
* #wohnen "Wohnen"
* #behoerden "Behörden"

CodeSystem: AtClosureReason
Id: at-closure-reason
Title: "Reason for ending"
Description: "Why case management ended."
* ^caseSensitive = true
* #ziel-erreicht "Ziel erreicht"
* #abgebrochen "Abgebrochen"
* #weitergegeben "Weitergegeben"
* #verstorben "Verstorben"

CodeSystem: AtMeasure
Id: at-measure
Title: "Kind of intervention"
Description: "Kinds of interventions of a plan."
* ^caseSensitive = true
* #information "Information"
* #antragshilfe "Hilfe bei Anträgen"
* #begleitung "Begleitung"
* #stellenvermittlung "Stellenvermittlung"
* #vermittlung "Vermittlung"
* #nachsorge "Nachsorge"

CodeSystem: AtHelp
Id: at-help
Title: "Kind of help"
Description: "What volunteers do."
* ^caseSensitive = true
* #besuchsdienst "Besuchsdienst"
* #einkauf "Einkauf"
* #fahrt "Fahrt"
* #sprachtandem "Sprachtandem"
* #garten "Garten"

CodeSystem: AtOfferState
Id: at-offer-state
Title: "State of an offer"
Description: "Is an offer still open?"
* ^caseSensitive = true
* #offen "Offen"
* #vergeben "Vergeben"

CodeSystem: AtTask
Id: at-task
Title: "Task of an enquiry"
Description: "What a task is about."
* ^caseSensitive = true
* #anfrage "Anfrage an die Anlaufstelle" "An enquiry."
* #vermittlung "Vermittlung an ein Angebot" "A referral to an offer, with its reply."
* #gesuch-stelle "Gesuch in der Jobbörse" "Somebody looks for work."
* #gesuch-hilfe "Gesuch in der Helferbörse" "Somebody looks for a volunteer's help."

CodeSystem: AtOutput
Id: at-output
Title: "Output of an enquiry"
Description: "What clearing brought about."
* ^caseSensitive = true
* #option "Geprüfte Option" "An option that was looked at."

CodeSystem: AtContact
Id: at-contact
Title: "Contact"
Description: "What a communication is."
* ^caseSensitive = true
* #kontakt "Kontakt zur Anfrage" "A further contact about an enquiry."

CodeSystem: AtObservation
Id: at-observation
Title: "Observation of an enquiry"
Description: "What is noted about the person."
* ^caseSensitive = true
* #lebenslage "Lebenslage" "The person's situation and resources."

CodeSystem: AtConsent
Id: at-consent
Title: "Consent of an enquiry"
Description: "What a consent is for."
* ^caseSensitive = true
* #weitergabe "Einwilligung in die Weitergabe" "Consent to passing on, to the receivers that it names."

CodeSystem: AtMeeting
Id: at-meeting
Title: "Meeting"
Description: "What a meeting is for."
* ^caseSensitive = true
* #monitoring "Monitoring" "A follow-up of the plan."

CodeSystem: AtOffer
Id: at-offer
Title: "Exchange"
Description: "To which exchange an offer belongs."
* ^caseSensitive = true
* #job "Jobbörse" "The job exchange."
* #volunteer "Helferbörse" "The exchange of volunteers."

CodeSystem: AtPlan
Id: at-plan
Title: "Kind of plan"
Description: "Plans of case management."
* ^caseSensitive = true
* #hilfeplan "Hilfeplan" "The plan."
* #plan-b "Plan B" "What to do when the plan fails."

CodeSystem: AtRepresentative
Id: at-representative
Title: "Representative"
Description: "Who somebody is to the person."
* ^caseSensitive = true
* #vertretung "Vertretung" "A representative."

CodeSystem: AtTeamFunction
Id: at-team-function
Title: "Function in the team"
Description: "What somebody does for the plan itself."
* ^caseSensitive = true
* #case-manager "Case Manager" "Manages the case."
