-- Which resources name an organisation: so the plans are found in which a party may take part, without reading all.

CREATE TABLE idx_organisation (
    digits TEXT    NOT NULL,                    -- of an identifier (fhir/organisations.py)
    rid    INTEGER NOT NULL,
    PRIMARY KEY (digits, rid)
) WITHOUT ROWID;
