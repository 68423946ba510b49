"""Every block of every page is run by a test: which one, and which lines cannot run here."""

import re
from collections import Counter

import pytest

from harness.pages import every_block
from harness.paths import ROOT

COMMANDS, SCRIPTS, TASKS = (
    "tests/examples/test_commands.py",
    "tests/examples/test_scripts.py",
    "tests/test_task_pages.py",
)

RUN = {
    ("CONTRIBUTING", "sh"): (1, f"{COMMANDS}::test_what_make_is_asked_for_is_there"),
    ("README", ""): (1, "tests/test_docs.py::test_the_map_of_the_code_names_what_is_there"),
    ("README", "json"): (1, f"{COMMANDS}::test_the_query_of_the_readme_gives_the_answer_of_the_readme"),
    ("README", "sh"): (2, f"{COMMANDS}::test_the_query_of_the_readme_gives_the_answer_of_the_readme"),
    ("access", "js"): (1, f"{SCRIPTS}::test_open_feature_says_what_may_be_used"),
    ("access", "nginx"): (1, f"{COMMANDS}::test_nginx_and_the_client_in_python_let_in_who_has_paid"),
    ("access", "python"): (1, f"{COMMANDS}::test_nginx_and_the_client_in_python_let_in_who_has_paid"),
    ("ai-product", "graphql"): (1, "tests/billing/counting/test_the_page.py::test_from_the_plan_to_the_invoice"),
    ("ai-product", "python"): (6, "tests/billing/counting/test_the_page.py::test_from_the_plan_to_the_invoice"),
    ("assistants", "json"): (1, f"{COMMANDS}::test_an_assistants_configuration_serves_the_tools"),
    ("assistants", "sh"): (1, f"{COMMANDS}::test_an_operator_asks_and_so_does_an_assistant"),
    ("back-end", "graphql"): (1, f"{COMMANDS}::test_the_queries_of_the_checkout_and_of_a_back_end"),
    ("checkout", "graphql"): (2, f"{COMMANDS}::test_the_queries_of_the_checkout_and_of_a_back_end"),
    ("client", "js"): (3, f"{SCRIPTS}::test_the_client_opens_a_checkout"),
    ("console", "sh"): (1, f"{COMMANDS}::test_an_operator_asks_and_so_does_an_assistant"),
    ("credits-and-usage", "sh"): (2, f"{COMMANDS}::test_credits_are_spent_and_tokens_sold"),
    ("deploy", "sh"): (1, "tests/deploy/test_chart.py::test_the_command_of_the_page_is_one_of_helms"),
    ("elements", "css"): (1, f"{SCRIPTS}::test_a_page_sells_by_a_tag_a_token_and_a_style"),
    ("elements", "html"): (2, f"{SCRIPTS}::test_a_page_sells_by_a_tag_a_token_and_a_style"),
    ("elements", "jsx"): (1, f"{SCRIPTS}::test_a_page_in_react_sells_and_lets_sign_in_first"),
    ("gate-a-feature", "html"): (1, "tests/examples/test_pages.py::own_feature"),
    ("gate-a-feature", "sh"): (4, f"{COMMANDS}::test_the_commands_of_the_gated_feature"),
    ("graphql", "graphql"): (1, "tests/conformance/programs/test_federation.py::test_the_graph_of_the_page_composes"),
    ("graphql", "js"): (2, f"{SCRIPTS}::test_live_updates_come_both_ways"),
    ("moving-in", "python"): (1, f"{TASKS}::test_an_organisations_seats_and_customers_from_before"),
    ("moving-in", "sh"): (1, f"{COMMANDS}::test_each_library_is_read_by_its_command"),
    ("offline-stripe", "python"): (
        2,
        "tests/test_docs.py::test_the_two_files_of_the_example_for_pytest_run_as_they_stand",
    ),
    ("outbound", "sh"): (2, f"{COMMANDS}::test_the_setting_of_an_endpoint_is_one"),
    ("pricing", "sh"): (1, f"{COMMANDS}::test_prices_are_pulled_planned_and_pushed"),
    ("pricing", "yaml"): (1, "tests/billing/pricing/test_yaml_file.py::test_the_file_in_the_docs_is_one"),
    ("python", "python"): (5, "tests/client/test_client.py::test_the_blocks_of_its_page_run"),
    ("quickstart", "sh"): (4, f"{COMMANDS}::test_the_quick_start_asks_signs_in_and_lets_time_pass"),
    ("seats", "graphql"): (2, f"{TASKS}::test_an_organisations_seats_and_customers_from_before"),
    ("seats", "sh"): (1, f"{TASKS}::test_an_organisation_is_the_customer_and_who_has_none_is_refused"),
    ("sign-in", "sh"): (5, f"{TASKS}::test_the_settings_of_a_provider_prove_its_tokens_and_no_others"),
    ("simulation", "console"): (1, f"{COMMANDS}::test_histories_are_simulated"),
    ("testing", "graphql"): (1, f"{TASKS}::test_a_card_that_fails_a_trial_and_a_dispute_go_as_the_page_says"),
    ("testing", "sh"): (8, f"{TASKS}::test_a_card_that_fails_a_trial_and_a_dispute_go_as_the_page_says"),
    ("webhooks", ""): (1, "tests/test_docs.py::test_the_events_to_choose_at_stripe_are_those_that_are_handled"),
}
"""How many blocks of a page are in a language, and the test that runs them, or the first of several in its file."""

CANNOT = {
    ("CONTRIBUTING", "make "): "CI plays these; the test looks whether make knows them",
    ("README", "make test"): "CI plays it; the test looks whether make knows it",
    ("assistants", "pip install"): "this version is on no index; the test runs what stands in the checkout",
    ("deploy", "docker "): "it needs Docker's daemon and a registry of images",
    ("deploy", "kubectl create"): "it needs a cluster; helm renders the chart for one",
}
"""Lines that stand in these blocks and that no test runs, by their beginning, and why."""


def test_every_block_is_run_by_a_test():
    there = Counter((block.page, block.language) for block in every_block())
    told = {place: count for place, (count, _) in RUN.items()}
    assert dict(there) == told, "name the test that runs a new block, and let it run all of this page and language"


@pytest.mark.parametrize("place", RUN, ids=" ".join)
def test_the_test_that_runs_a_block_reads_its_page(place):
    page, _ = place
    path, _, name = RUN[place][1].partition("::")
    text = (ROOT / path).read_text()
    assert re.search(rf"^(?:async )?def {name}\(", text, re.MULTILINE)
    assert re.search(rf'"{page}"|{page}\.md|\b{page.upper().replace("-", "_")}\b', text)


def test_what_no_test_runs_stands_on_its_page():
    lines = {(block.page, line) for block in every_block() for line in block.text.splitlines()}
    for page, beginning in CANNOT:
        assert any(where == page and line.startswith(beginning) for where, line in lines), (page, beginning)
