"""The private Kafka, PostgreSQL and Redis behind tools/servers. Python's standard library only."""
