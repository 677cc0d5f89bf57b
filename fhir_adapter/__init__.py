"""The FHIR care-coordination adapter: one shared plan, shown to every party in its own words."""
