"""FHIR R4 as plain data: resources, paths, bundles, search, outcomes, capability."""
