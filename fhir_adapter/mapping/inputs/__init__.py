"""From the bytes of a file to records and back: JSON, NDJSON, CSV, XML and FHIR Bundles, as a declaration says."""
