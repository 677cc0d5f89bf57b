// What every shared plan may carry, whichever system it came from.

// ---------------------------------------------------------------- extensions

Extension: WriteId
Id: write-id
Title: "Write id"
Description: "Which write of the shared plan's adapter made this version. A FHIR server that keeps it lets the adapter know its own writes again in the server's history; whoever changes the resource need not touch it."
Context: Appointment, AuditEvent, CarePlan, CareTeam, Communication, Condition, Consent, DocumentReference, Encounter, Goal, HealthcareService, Location, Observation, Organization, Patient, Practitioner, PractitionerRole, Provenance, RelatedPerson, ServiceRequest, Task
* value[x] 1..1
* value[x] only id

Extension: ActivityDetail
Id: activity-detail
Title: "Rest of an activity's detail"
Description: "What CarePlan.activity.detail said and a ServiceRequest has no element for; each part is named after the element that it comes from. Kept so that an intervention can go back in the form in which it came."
Context: ServiceRequest
* extension contains
    kind 0..1 and
    description 0..1 and
    productCodeableConcept 0..1 and
    productReference 0..1 and
    dailyAmount 0..1 and
    id 0..1
* extension[kind].value[x] only code
* extension[kind].valueCode from http://hl7.org/fhir/ValueSet/care-plan-activity-kind (required)
* extension[description].value[x] only string
* extension[productCodeableConcept].value[x] only CodeableConcept
* extension[productReference].value[x] only Reference(Medication or Substance)
* extension[dailyAmount].value[x] only SimpleQuantity
* extension[id].value[x] only string

Extension: MunicipalityName
Id: municipality-name
Title: "Municipality by name"
Description: "The municipality that an address lies in, by its name, where the country's profile of addresses leaves no element for it."
Context: Patient.address
* value[x] 1..1
* value[x] only string

// ---------------------------------------------------------------- code systems

CodeSystem: ConflictCodes
Id: conflict
Title: "Conflict"
Description: "Two parties changed the same thing, neither having seen the other's change. The owner's value is in force; a Task with the code resolve-conflict keeps the other one until somebody decides."
* ^caseSensitive = true
* #resolve-conflict "Resolve a conflict" "The task: look at the values kept in Task.input and decide which is to be in force."
* #path "Place" "Input of the task: the FHIR path of the element that the values belong to."
* #base "Value before" "Input of the task: what both parties had started from, as JSON."
* #live "Value in force" "Input of the task: what is in the plan now, as JSON."
* #other "Other value" "Input of the task: what the other party wrote, as JSON."
* #live-party "Party of the value in force" "Input of the task: the name of the party whose value is in force."
* #other-party "Other party" "Input of the task: the name of the party whose value waits."
* #both-changed "Both changed it" "Two parties gave it different values."
* #edit-against-delete "Changed and removed" "One party changed what another removed; the change is in force."
* #own-words "The person's own words" "Another party rewrote a goal that the person set; the person's words are kept here."
* #quarantined "Change of something not shown" "A party wrote to what it had not been shown; neither applied nor dropped."
* #not-allowed "Not this party's step" "A party changed a task in a way that is not its own to change; kept, not applied."

CodeSystem: ConflictDecisionCodes
Id: conflict-decision
Title: "Decision about a conflict"
Description: "How somebody decides a conflict: outputs of the task with the code resolve-conflict, and what they say."
* ^caseSensitive = true
* #decision "Decision" "Output of the task: keep, take, write or later, as valueCode."
* #value "Third value" "Output of the task: the value to be in force, as its own type or as JSON in valueString."
* #reason "Reason" "Output of the task: why it is decided so."
* #until "Until" "Output of the task, with later: the day to look at it again."
* #keep "Keep" "What is in force stays; the other value is in the record of the conflict only."
* #take "Take" "The other value comes into force."
* #write "Write" "A third value comes into force."
* #later "Later" "Nothing is decided yet."
* #settled "Settled" "Nobody had to decide: an ordinary edit says by now what the other party wanted."

// ---------------------------------------------------------------- profiles

Profile: SharedCarePlan
Parent: CarePlan
Id: shared-care-plan
Title: "Shared care plan"
Description: "One plan of one person that several organisations carry out together. Every intervention is a ServiceRequest of its own, so that it has an identity, a version and (by a Task) someone who does it."
* extension contains WriteId named writeId 0..1
* intent = #plan
* subject only Reference(Patient)
* identifier and title and period and careTeam and goal and activity and note MS
* activity.detail 0..0
* activity.reference 1..1 MS

Profile: SharedCareTeam
Parent: CareTeam
Id: shared-care-team
Title: "Team of a shared care plan"
Description: "The people and organisations that carry out a shared plan. Whoever leaves the team gets an end to the period and is not taken away."
* extension contains WriteId named writeId 0..1
* subject 1..1
* subject only Reference(Patient)
* status and participant MS
* participant.member and participant.role and participant.period MS

Profile: SharedGoal
Parent: Goal
Id: shared-goal
Title: "Goal of a shared care plan"
Description: "A goal in the words of whoever set it; expressedBy says who. The person's own goals are never rewritten silently."
* extension contains WriteId named writeId 0..1
* subject only Reference(Patient)
* description and lifecycleStatus and achievementStatus and expressedBy and target and note MS

// ---------------------------------------------------------------- search

Instance: Goal-description
InstanceOf: SearchParameter
Usage: #definition
Description: "What a goal says, as US Core asks for it: the code or the words of Goal.description."
* url = "https://fhir-adapter.example/fhir/SearchParameter/Goal-description"
* name = "GoalDescription"
* status = #active
* description = "The code or the words of Goal.description."
* code = #description
* base = #Goal
* type = #token
* expression = "Goal.description"
* multipleOr = true
