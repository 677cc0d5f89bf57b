// What the service asks its keepers to look at when an exchange with another system does not go on.

CodeSystem: AttentionCodes
Id: attention
Title: "Asks for attention"
Description: "Tasks for whoever runs the exchange: something was stopped and waits for a person. The inputs hold names, numbers and codes, nothing about a patient."
* ^caseSensitive = true
* #delivery-parked "Delivery parked" "The task: a plan could not be delivered to a party; retry it, or drop it with a reason."
* #party-stopped "Party stopped" "The task: a party lost much of what it held; nothing is exchanged until somebody has looked."
* #one-person "One person?" "The task: two records may be of one person; join them, or say that they are two."
* #party "Party" "Input of the task: the name of the party."
* #problem "Problem" "Input of the task: what went wrong, without anybody's data."
* #delivery "Delivery" "Input of the task: the number of the delivery in the outbox."
* #attempts "Attempts" "Input of the task: how often it was tried."
* #person "Persons" "Input of the task: the two records, by their references."
