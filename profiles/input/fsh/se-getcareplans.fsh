// What a plan of RIV-TA GetCarePlans 2.0 (mappings/se-getcareplans) carries beyond R4.

Extension: SourceSystem
Id: source-system
Title: "Source system"
Description: "The system that the plan was fetched from, by its HSA id (RIV-TA: sourceSystemHSAId). A server overwrites meta.source, so it is kept here."
Context: CarePlan
* value[x] 1..1
* value[x] only Identifier

Extension: DocumentTime
Id: document-time
Title: "Time of the document"
Description: "When the document was made or last changed in its source system (RIV-TA: documentTime)."
Context: CarePlan
* value[x] 1..1
* value[x] only dateTime

Extension: CareUnit
Id: care-unit
Title: "Care unit"
Description: "The care unit (vårdenhet) on whose behalf somebody works; shared records are blocked by it."
Context: PractitionerRole
* value[x] 1..1
* value[x] only Reference(Organization)

Extension: CareGiver
Id: care-giver
Title: "Care giver"
Description: "The care giver (vårdgivare) on whose behalf somebody works; shared records are blocked by it."
Context: PractitionerRole
* value[x] 1..1
* value[x] only Reference(Organization)

Extension: CodeSystemName
Id: code-system-name
Title: "Name of the code system"
Description: "What the sender calls the code system of a code (RIV-TA CVType: codeSystemName)."
Context: PractitionerRole.code.coding
* value[x] 1..1
* value[x] only string
