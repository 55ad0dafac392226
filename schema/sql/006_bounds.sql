-- What has an end: requests to join a group that is no more, and finding which of a user's marks are beyond the bound.

-- parley_bound_prefs() looks at the newest of one user's marks after each statement that adds any.
CREATE INDEX prefs_newest ON prefs (user_id, source_offset DESC) INCLUDE (conv);

-- Nobody answers a request to join a group that was dissolved. Rows of one transaction may come in either order.
CREATE FUNCTION parley_end_asks() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM asks WHERE conv = NEW.conv;
    RETURN NULL;
END $$;
CREATE TRIGGER conversations_end_asks AFTER INSERT OR UPDATE OF dissolved_ms ON conversations
    FOR EACH ROW WHEN (NEW.dissolved_ms IS NOT NULL) EXECUTE FUNCTION parley_end_asks();

CREATE FUNCTION parley_ask_is_open() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM conversations c WHERE c.conv = NEW.conv AND c.dissolved_ms IS NOT NULL) THEN
        RETURN NULL;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER asks_open BEFORE INSERT ON asks FOR EACH ROW EXECUTE FUNCTION parley_ask_is_open();

DELETE FROM asks a USING conversations c WHERE c.conv = a.conv AND c.dissolved_ms IS NOT NULL;
