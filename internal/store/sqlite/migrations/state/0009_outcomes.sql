-- How an attempt ended, in one number (see packOutcome). NULL: a row of before, or one that no such number tells; its body does.
ALTER TABLE attempts ADD COLUMN outcome INTEGER;
-- Figures over attempts are read from this index alone.
DROP INDEX attempts_endpoint;
CREATE INDEX attempts_endpoint ON attempts (endpoint, id, at, outcome);
