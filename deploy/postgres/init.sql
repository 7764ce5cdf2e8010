-- Two databases: the ledger (made by POSTGRES_DB) and Dagster's own.
CREATE DATABASE dagster;
