"""Every limit has a test that goes to its value, which works, and one past it, and sees what a user would see.

A limit on time has no such edge: its test stays well below it and goes well beyond.
"""

from __future__ import annotations

import re

import pytest

from tests.docs.documents import ROOT, sections

HOST, CODEC, FIBER = "tests/host/test_host_limits.py", "tests/wasm/test_codec.py", "tests/wasm/test_fiber_limits.py"
CALLS, SQL, WORKER, RETENTION = (
    "tests/hostile/test_host_calls.py",
    "tests/guest_sql/test_statements.py",
    "tests/engine/test_worker.py",
    "tests/engine/test_retention.py",
)
JSON, COMPILE = "tests/journal/test_json_text.py", "tests/wasm/test_compile.py"
CLIENT, SERVERS = "tests/net/test_client.py", "tests/net/test_hostile_servers.py"
HEAD, CHUNKS = "tests/net/test_head.py", "tests/net/test_chunks.py"

#: By the first column of the table in docs/guarantees.md.
PROMISED: dict[str, list[str]] = {
    "events of one task": [f"{HOST}::test_a_journal_may_have_max_workflow_events"],
    "labels and values of one task's events, as text": [
        f"{HOST}::test_a_journal_may_have_max_journal_bytes_of_labels_and_values",
        f"{HOST}::test_recorded_events_count_for_the_bytes_of_a_journal",
    ],
    "JSON text of one event": [f"{HOST}::test_an_event_may_have_max_event_bytes_of_utf8"],
    "printed by one recorded call": [
        f"{HOST}::test_one_call_may_print_max_log_bytes_and_the_rest_is_cut_with_a_marker",
        f"{HOST}::test_one_transaction_may_print_max_log_bytes_and_the_rest_is_cut_with_a_marker",
    ],
    "printed by one task in one run, replayed text included": [
        f"{HOST}::test_a_task_may_print_max_task_log_bytes_on_both_streams_together"
    ],
    "a buffer asked of the host (random bytes, an SQL value)": [
        f"{HOST}::test_random_bytes_are_given_up_to_max_returned_buffer_len",
        "tests/host/test_sql_values.py::test_a_value_is_handed_out_up_to_max_returned_buffer_len",
    ],
    "data and event name of one notification": [
        f"{HOST}::test_a_notification_may_have_max_notification_bytes_of_utf8",
        "tests/client/test_notifying.py::test_a_notification_beyond_the_limit_is_refused_and_one_at_the_limit_is_sent",
    ],
    "memory of a running task": [
        f"{FIBER}::test_memory_grows_up_to_its_limit_and_then_the_guest_is_told_no",
        f"{FIBER}::test_a_guest_that_starts_with_all_the_memory_it_may_have_runs",
        f"{FIBER}::test_a_guest_that_starts_with_more_memory_than_the_limit_is_stopped_with_the_reason",
    ],
    "SQL values and HTTP requests that it has handles to, together": [
        f"{HOST}::test_the_sql_values_of_a_guest_may_be_as_large_as_its_memory",
        f"{HOST}::test_the_http_requests_of_a_guest_count_as_well_whatever_is_set_when",
    ],
    "the JSON text of a serialized SQL value that is read back": [
        "tests/host/test_sql_values.py::test_what_is_larger_than_any_event_is_no_serialized_value"
    ],
    "computing between two recorded calls": [
        f"{FIBER}::test_without_progress_computing_time_adds_up_over_host_calls",
        f"{FIBER}::test_the_limit_counts_again_from_every_progress",
    ],
    "computing at one go": [f"{FIBER}::test_an_endless_loop_lets_others_run_until_it_is_stopped"],
    "tasks in the memory of a worker": [
        f"{WORKER}::test_a_worker_has_max_tasks_and_the_next_one_waits_for_a_place",
        "tests/config/test_settings.py::test_values_at_the_edge_of_fitting_together_are_fine",
        "tests/config/test_settings.py::test_values_that_do_not_fit_together_are_an_error",
    ],
    "kept after its end": [f"{RETENTION}::test_ended_tasks_and_unused_programs_go_after_their_time"],
    "an unused program": [f"{RETENTION}::test_ended_tasks_and_unused_programs_go_after_their_time"],
    "one statement of SQL with all its rows, or its commit": [
        f"{SQL}::test_the_deadline_is_the_hosts_whatever_the_workflow_set",
        f"{SQL}::test_the_deadline_is_that_of_a_statement_with_all_its_rows",
        f"{SQL}::test_what_the_workflow_does_between_two_rows_takes_no_time_of_the_statement",
    ],
    "parameters of a statement": [f"{SQL}::test_a_statement_may_have_65535_parameters"],
    "a row of SQL": [],  # no test of ours holds a gigabyte
    "an HTTP request with its redirects and its response": [
        "tests/host/test_http.py::test_a_timeout_is_at_most_the_longest_there_is",
        f"{SERVERS}::test_the_time_is_over_when_it_is_over",
    ],
    "a body of HTTP, a response's as it came and decoded": [
        f"{CLIENT}::test_a_request_body_has_a_limit",
        f"{SERVERS}::test_a_body_may_have_max_http_body_and_not_one_byte_more",
        "tests/net/test_coding.py::test_the_limit_holds_at_its_value_and_one_past_it",
    ],
    "HTTP headers; a URL; redirects": [
        f"{CLIENT}::test_headers_have_a_limit",
        f"{SERVERS}::test_the_headers_of_a_response_have_limits",
        "tests/net/test_target.py::test_a_url_may_have_65536_characters",
        f"{CLIENT}::test_ten_redirects_are_followed_and_not_one_more",
    ],
    "what stands around the chunks of a response": [
        f"{CHUNKS}::test_what_stands_around_chunks_may_have_a_mebibyte",
        f"{CHUNKS}::test_where_bodies_may_be_large_more_may_stand_around_chunks",
    ],
    "HTTP requests of a worker at once": [
        "tests/net/test_threads.py::test_calls_run_at_once_up_to_the_limit_and_then_in_order"
    ],
    "the label of an event": [f"{HOST}::test_a_label_may_have_64_kib_of_utf8"],
    "handed to the host by one call": [
        f"{CALLS}::test_one_call_hands_over_so_much_at_most",
        f"{CODEC}::test_one_call_hands_over_128_mib_of_text_at_most",
    ],
    "values in the lists of one call, to the host or from it": [
        f"{CODEC}::test_one_call_hands_over_so_many_values_at_most",
        f"{CODEC}::test_one_call_is_given_so_many_values_at_most",
        f"{CODEC}::test_the_values_of_lists_within_lists_count_together",
        f"{CALLS}::test_one_call_hands_over_as_many_handles_as_a_guest_may_have",
    ],
    "memories, tables and core instances of a component": [
        f"{FIBER}::test_a_guest_has_one_memory_so_that_its_limit_is_the_limit_of_all",
        f"{FIBER}::test_a_guest_may_have_20_tables_with_a_million_elements",
        f"{FIBER}::test_tables_have_a_limit",
        f"{FIBER}::test_a_guest_may_have_200_core_instances",
    ],
    "open handles of a guest": [
        "tests/wasm/test_resources.py::test_the_table_holds_100000_objects_and_not_one_more",
        "tests/wasm/test_resources.py::test_a_guest_that_hoards_is_stopped_at_the_limit",
    ],
    "depth of JSON, magnitude of its numbers, digits that exponents stand for": [
        f"{JSON}::test_nesting_is_accepted_up_to_its_limit",
        f"{JSON}::test_numbers_are_accepted_up_to_their_limits",
        f"{JSON}::test_exponents_may_stand_for_a_mebibyte_of_digits",
    ],
    "time and memory of compiling a program": [
        f"{COMPILE}::test_a_component_that_takes_too_long_is_refused_in_time",
        f"{COMPILE}::test_a_component_that_takes_too_much_memory_is_refused",
    ],
    "a component": ["tests/client/test_programs.py::test_a_component_may_have_256_mib"],
    "the reason of a failure, as logged": [f"{HOST}::test_the_reason_of_a_failure_may_have_16_kib"],
    "data of a task": [
        "tests/client/test_launching.py::test_data_beyond_the_limit_is_refused_and_data_at_the_limit_is_launched",
        "tests/client/test_launching.py::test_data_at_the_edge_of_what_jsonb_takes_is_taken",
        f"{HOST}::test_a_task_is_given_twice_max_task_data_bytes_and_a_mebibyte_of_zeros",
        "tests/engine/test_large_data.py::test_large_data_arrives_and_too_large_data_fails_its_task_alone",
    ],
}

#: What users hardly ever meet, or never see.
OTHERS: dict[str, list[str]] = {
    "least and most of every key": [
        "tests/config/test_settings.py::test_a_bound_is_a_value_and_what_is_beyond_it_is_none"
    ],
    "zeroes written at once": [f"{HOST}::test_zeroes_are_written_up_to_what_check_write_permits"],
    "random bytes for one event": [f"{HOST}::test_random_bytes_of_which_no_event_could_tell_are_not_drawn"],
    "the name of an SQL type": [
        f"{SQL}::test_the_name_of_a_type_is_looked_up_if_it_is_not_too_long",
        "tests/host/test_sql_values.py::test_the_name_of_a_type_has_a_limit",
    ],
    "rows of SQL that are read ahead": [
        f"{SQL}::test_rows_that_are_read_ahead_do_not_fill_the_memory",
        f"{SQL}::test_rows_of_nothing_do_not_fill_the_memory",
    ],
    "rows of SQL that are read at once": [f"{SQL}::test_a_hundred_rows_or_2000_values_are_read_at_once"],
    "types of a database that are remembered": [
        "tests/guest_sql/test_types_change.py::test_so_many_are_remembered_and_not_one_more"
    ],
    "rows that are asked for": [f"{SQL}::test_a_limit_is_about_what_is_fetched_and_not_about_what_happens"],
    "the method of a request": [
        f"{CLIENT}::test_a_method_may_have_100_characters",
        f"{CLIENT}::test_an_invalid_method_is_refused",
    ],
    "a host name, and how it is written": [
        "tests/net/test_hosts.py::test_a_name_has_one_form",
        "tests/net/test_hosts.py::test_what_is_no_host_is_refused",
    ],
    "lines and trailers of a response in chunks": [f"{CHUNKS}::test_what_stands_around_chunks_has_limits"],
    "informational responses": [f"{HEAD}::test_twenty_informational_responses_are_skipped_and_not_one_more"],
    "content codings of a response": ["tests/net/test_coding.py::test_more_than_five_codings_are_an_error"],
    "connections that are kept": ["tests/net/test_idle.py::test_the_limit_holds_over_all_origins_and_the_oldest_go"],
    "what is compiled without a child": [
        f"{COMPILE}::test_many_small_functions_are_light_up_to_256_kib",
        f"{COMPILE}::test_a_function_of_16_kib_is_light_and_one_byte_more_is_not",
    ],
    "data of a task that a claim brings along, or that is read": [
        "tests/execution/test_leases.py::test_a_claim_brings_along_small_data_and_leaves_the_rest_where_it_is",
        "tests/execution/test_journal_reader.py::test_the_data_of_a_task_is_read_up_to_a_limit_of_its_text",
    ],
    "a tail": ["tests/execution/test_tail.py::test_a_tail_is_full_at_its_bounds_and_not_before"],
    "a batch of the journal": [
        "tests/execution/test_group_commit.py::test_very_many_tasks_are_written_in_several_batches",
        "tests/execution/test_group_commit.py::test_very_many_events_are_written_in_several_batches",
        "tests/execution/test_group_commit.py::test_very_large_tails_are_written_in_several_batches",
    ],
    "a page of a journal, of notifications": [
        "tests/execution/test_journal_reader.py::test_a_journal_is_read_in_pages_from_any_index",
        "tests/execution/test_journal_reader.py::test_a_page_is_as_small_as_its_events_are_large",
        "tests/execution/test_journal_reader.py::test_as_many_notifications_are_looked_at_as_a_page_has_room_for",
    ],
    "deaths of a worker under one task": [
        "tests/engine/test_poison.py::test_poison_is_quarantined_while_everybody_else_completes"
    ],
    "clients of the exporter": [
        "tests/metrics/test_exporter.py::test_one_past_the_bound_is_closed_at_once_and_the_places_come_free_again"
    ],
    "a message to the supervisor": ["tests/supervisor/test_link.py::test_a_line_has_a_longest_length"],
}


def test_every_promised_limit_has_its_test() -> None:
    limits = dict(sections(ROOT / "docs" / "guarantees.md", 2))["Limits"]
    _, _, *rows = [line for line in limits.splitlines() if line.startswith("|")]
    assert [row.split(" | ")[0].removeprefix("| ") for row in rows] == list(PROMISED)


@pytest.mark.parametrize("test", sorted({test for tests in [*PROMISED.values(), *OTHERS.values()] for test in tests}))
def test_the_test_of_a_limit_exists(test: str) -> None:
    file, _, name = test.partition("::")
    assert re.search(rf"^(async )?def {name}\(", (ROOT / file).read_text(), re.MULTILINE)
