DROP FUNCTION durable.guest_record, durable.guest_begin;
DROP TABLE durable.guest_transaction;
ALTER TABLE durable.worker DROP COLUMN secret;
