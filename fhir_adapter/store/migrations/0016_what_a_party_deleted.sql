-- What a party deleted and is asked about is counted at every turn with it, however many other conflicts there were.

CREATE INDEX conflict_about_removal ON conflict (other_party) WHERE path = '' AND other IS NULL;
