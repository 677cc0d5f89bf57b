-- By what a history is known that went back: its numbers begin anew, so the instant of what we know stands beside them.

ALTER TABLE copy ADD COLUMN made TEXT NOT NULL DEFAULT '';              -- when the version was made, by the party's clock; '' unknown

-- The version at a FHIR party that was seen last: a history must still show it.
ALTER TABLE watermark ADD COLUMN landmark TEXT NOT NULL DEFAULT '';     -- its key in the journal, '' none
ALTER TABLE watermark ADD COLUMN landmark_at TEXT NOT NULL DEFAULT '';  -- when it was made, by the party's clock
