-- Why an endpoint is disabled, '' when it is not, and when it was last changed. NULL: a row of before, filled in at the opening.
ALTER TABLE endpoints ADD COLUMN disabled TEXT;
ALTER TABLE endpoints ADD COLUMN changed INTEGER;
CREATE INDEX endpoints_disabled ON endpoints (disabled, changed, tenant) WHERE disabled IS NOT '';
CREATE INDEX endpoints_disabled_tenant ON endpoints (tenant, disabled, changed) WHERE disabled IS NOT '';

CREATE INDEX dead_tenant ON dead (tenant, at);
