-- The tables of a shop, for the workflow `order`. They lie in the database of the engine, so that what a workflow does to
-- them and the record that it was done are committed together.

CREATE SCHEMA shop;

CREATE TABLE shop.stock (
    item text PRIMARY KEY,
    available integer NOT NULL CHECK (available >= 0)
);

-- One row for each order, written by its workflow.
CREATE TABLE shop.orders (
    id bigint PRIMARY KEY, -- the id of the task
    item text NOT NULL REFERENCES shop.stock,
    quantity integer NOT NULL CHECK (quantity > 0),
    cents bigint NOT NULL CHECK (cents >= 0),
    state text NOT NULL CHECK (state IN ('reserved', 'shipped', 'cancelled'))
);

-- What happened to an order, step by step. There is no unique constraint: each step is here once because the engine
-- sees to it.
CREATE TABLE shop.steps (
    order_id bigint NOT NULL REFERENCES shop.orders,
    step text NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE INDEX ON shop.steps (order_id);

INSERT INTO shop.stock (item, available) VALUES ('hat', 100), ('scarf', 20), ('umbrella', 0);
