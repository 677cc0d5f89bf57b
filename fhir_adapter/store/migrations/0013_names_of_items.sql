-- What a party's items without id are called in the record that it said last, where their places do not tell, and the mark of
-- what they say: JSON. NULL: every item tells its own.
ALTER TABLE record ADD COLUMN names TEXT;
