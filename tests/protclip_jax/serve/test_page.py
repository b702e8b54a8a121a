"""The page in headless Chromium over the serve command: what a visitor asks, sees and downloads."""

import csv
import io
import os
import signal
import socket
import threading
import time
import urllib.parse
import xml.etree.ElementTree

import numpy as np
import pytest

from protclip_jax.serve.limits import MOST_RESIDUES
from tests.support import browser
from tests.support.browser import WAIT_SECONDS, Page
from tests.support.searching import NASTY
from tests.support.serving_process import serving

TOKEN = 'the"token<%41>`+/'
"""With what browsers escape in an address, and what looks escaped."""


@pytest.fixture(scope="module")
def server(search_folder, tmp_path_factory):
    checkpoint, index, labels = search_folder
    arguments = [
        "--checkpoint",
        checkpoint,
        "--index",
        index,
        "--labels",
        labels,
        "--token",
        TOKEN,
        "--skip_warm_up",
    ]
    with serving(*arguments, log=tmp_path_factory.mktemp("server") / "log") as running:
        yield running


@pytest.fixture(scope="module")
def page(server, tmp_path_factory):
    browser.require()
    folder = tmp_path_factory.mktemp("browser")
    with browser.opened(folder) as chromium:
        chromium.get(server.address)
        page = Page(chromium, folder)
        page.wait_for("#message", "the token is missing or wrong")
        # From another page, so that each address is loaded anew.
        chromium.get("about:blank")
        chromium.get(f"{server.address}#token=%")
        page.wait_for("#message", "the token is missing or wrong")
        chromium.get("about:blank")
        chromium.get(f"{server.address}#token={urllib.parse.quote(server.token, safe='')}")
        page.wait_for("#about", "proteins, exact search")
        yield page
        assert page.complaints() == []


def table(text):
    return list(csv.DictReader(io.StringIO(text), delimiter="\t"))


def test_the_token_does_not_stay_in_the_address(page, server):
    assert server.token not in page.chromium.current_url
    assert page.one("#about").text.endswith("3 labels of places")
    assert len(page.all("#examples button")) >= 2


def test_what_a_text_names_is_opened_and_an_organism_chosen(page, server):
    page.ask("abc fed")
    page.wait_for("#understood", "PROTEIN NAME: abc fed")
    id = page.one("#results button[data-id]").text
    page.ask(id)
    page.wait_for("#matches", f"Open {id} →")
    page.one(f"#matches button[data-match='{id}']").click()
    page.wait_for("#protein-title", id)
    organism = page.one("#taxon")
    organism.send_keys("Homo")
    page.ask("abc fed")
    page.wait_for("#message", "has no protein of taxon 'Homo'; it has synthetic construct (32630)")
    organism.clear()
    organism.send_keys("32630")
    page.ask("abc fed")
    page.wait_for("#results", "synthetic construct")
    _, answer = server.ask("/api/search", {"query": "abc fed", "taxon": ["32630"]})
    ids = [hit["id"] for hit in answer["proteins"]["hits"]]
    assert [element.text for element in page.all("#results button[data-id]")] == ids
    organism.clear()


def test_a_text_is_asked_a_protein_opened_and_its_tracks_agree_with_the_api(page, server):
    page.ask("abc fed")
    page.wait_for("#understood", "PROTEIN NAME: abc fed")
    _, answer = server.ask("/api/search", {"query": "abc fed"})
    hits = answer["proteins"]["hits"]
    ids = [hit["id"] for hit in hits]
    assert [element.text for element in page.all("#results button[data-id]")] == ids
    first_row = page.one("#results tbody tr").text
    assert f"q = {hits[0]['q_value']:.2g}" in first_row.replace("1.0", "1")
    assert page.one(".verdict").text == answer["proteins"]["verdict"]
    assert f"{hits[0]['cosine']:.3f}" in first_row
    link = page.one("#results td.out a")
    assert link.get_attribute("href") == hits[0]["link"]
    assert "noopener" in link.get_attribute("rel")
    page.one("#results .download").click()
    saved = table(page.downloaded("results.tsv"))
    expected = [(hit["id"], f"{hit['cosine']:.6f}") for hit in hits]
    assert [(row["id"], row["cosine"]) for row in saved] == expected

    chosen = next(
        hit for hit in hits if len(server.ask(f"/api/protein?id={hit['id']}")[1]["features"]) > 1
    )
    page.one(f"button[data-id='{chosen['id']}']").click()
    page.wait_for("#protein-title", chosen["id"])
    svg = page.one(".figure svg")
    _, protein = server.ask(f"/api/protein?id={chosen['id']}")
    _, weights = server.ask(
        "/api/tracks", {"id": chosen["id"], "properties": protein["properties"]}
    )
    check_readout(page, svg, weights)
    # What its own report says of the weights: this checkpoint has none.
    assert (
        "No report of this checkpoint says whether the weights follow the text"
        in page.one(".caution").text
    )
    page.one("#save-tsv").click()
    saved = table(page.downloaded(f"{chosen['id']}.tsv"))
    assert "".join(row["residue"] for row in saved) == protein["sequence"]
    for track in weights["tracks"]:
        np.testing.assert_allclose(
            [float(row[track["property"]]) for row in saved], track["weights"], rtol=1e-5
        )
    feature = protein["features"][0]
    assert feature["type"] in saved[feature["start"] - 1]["features"]
    page.one("#save-svg").click()
    drawing = xml.etree.ElementTree.fromstring(page.downloaded(f"{chosen['id']}.svg"))
    assert drawing.tag == "{http://www.w3.org/2000/svg}svg"
    assert all(track["property"] in "".join(drawing.itertext()) for track in weights["tracks"])


def check_readout(page, svg, weights):
    """Points at some residues and compares what is said with the API's numbers."""
    from selenium.webdriver.common.action_chains import ActionChains

    page.chromium.execute_script("arguments[0].scrollIntoView({block: 'center'})", svg)
    width, length = svg.size["width"], len(weights["sequence"])
    for residue in (0, length // 2, length - 1):
        x = 124 + (residue + 0.5) * (width - 124 - 14) / length
        ActionChains(page.chromium).move_to_element_with_offset(
            svg, round(x - width / 2), -10
        ).perform()
        page.wait_for("#readout", f"{weights['sequence'][residue]}{residue + 1}")
        found = page.one("#readout").text.split()
        for track in weights["tracks"]:
            said = float(found[found.index(track["property"]) + 1])
            np.testing.assert_allclose(said, track["weights"][residue], rtol=6e-3, atol=1e-12)


def test_the_view_zooms_and_other_texts_give_other_tracks(page):
    letters = "return document.querySelectorAll('.figure svg text[font-family=monospace]').length"
    whole = page.chromium.execute_script(
        "return document.querySelector('.figure svg').getAttribute('aria-label')"
    )
    length = int(whole.split()[2])
    page.one("#whole").click()
    page.one("#zoom-in").click()
    page.one("#zoom-in").click()
    assert abs(page.chromium.execute_script(letters) - length / 4) <= 1
    page.one("#whole").click()
    path = "return document.querySelector('[data-property=name] path').getAttribute('d')"
    before = page.chromium.execute_script(path)
    box = page.one("#property-name")
    box.clear()
    box.send_keys("quite another protein")
    page.one("#update").click()
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(page.chromium, WAIT_SECONDS).until(
        lambda chromium: chromium.execute_script(path) != before
    )
    assert not page.chromium.find_elements("css selector", "#cut")
    box.send_keys(" of many words" * 30)
    page.one("#update").click()
    page.wait_for("#cut", "cut off: name.")
    page.one("#back").click()
    page.wait_for("#understood", "abc fed")


def test_a_sequence_is_known_as_one_and_described(page, server):
    _, protein = server.ask("/api/protein?id=nasty")
    page.ask(protein["sequence"])
    page.wait_for("#understood", "Read as the protein of 26 residues")
    assert page.one("#results button[data-id]").text == "nasty"
    assert [tab.text for tab in page.all("[role=tab]")] == [
        "Similar proteins",
        "Descriptions: places",
    ]
    page.all("[role=tab]")[1].click()
    assert len(page.all("#panel-1 tbody tr")) == 3
    page.one("#open-query").click()
    page.wait_for("#protein-title", "Your protein")
    page.one(".figure svg")
    page.chromium.back()
    page.wait_for("#understood", "26 residues")


def test_the_tabs_are_reached_by_arrow_keys(page, server):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    _, protein = server.ask("/api/protein?id=nasty")
    page.ask(protein["sequence"])
    page.wait_for("#understood", "Read as the protein")
    first, second = page.all("[role=tab]")
    page.chromium.execute_script("arguments[0].focus()", first)
    moves = [
        (Keys.ARROW_RIGHT, 1),
        (Keys.ARROW_RIGHT, 0),
        (Keys.ARROW_LEFT, 1),
        (Keys.HOME, 0),
        (Keys.END, 1),
        (Keys.END, 1),
    ]
    for key, chosen in moves:
        ActionChains(page.chromium).send_keys(key).perform()
        assert page.chromium.switch_to.active_element == (first, second)[chosen]
        assert [tab.get_attribute("aria-selected") for tab in (first, second)] == (
            ["false", "true"] if chosen else ["true", "false"]
        )
        assert [tab.get_attribute("tabindex") for tab in (first, second)] == (
            ["-1", "0"] if chosen else ["0", "-1"]
        )
        assert page.one("[role=tabpanel]").get_attribute("id") == f"panel-{chosen}"
    first.click()


def test_html_in_a_name_stays_text(page):
    page.one("button[data-id=nasty]").click()
    page.wait_for("#protein", NASTY)
    assert (
        page.chromium.find_elements(
            "css selector", "#protein img, #results img, #protein b, #results td b"
        )
        == []
    )
    assert page.chromium.title == f"nasty · {NASTY} – ProtCLIP search"
    page.one("#similar").click()
    page.wait_for("#understood", "Read as the protein nasty of 26 residues")


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("", "The query is empty"),
        (">a\nMKT1", "'1' at position 4"),
        ("word " * 1000, "at most 4,000"),
    ],
)
def test_bad_input_is_a_message(page, query, message):
    page.ask(query)
    page.wait_for("#message", message)
    page.ask("abc")
    page.wait_for("#understood", "PROTEIN NAME: abc")
    assert page.chromium.find_elements("css selector", "#message[hidden]")


HELD_FETCH = """
window.plainFetch ??= window.fetch;
window.held = [];
window.fetch = (path, options) => path.startsWith(arguments[0])
  ? new Promise((resolve) => window.held.push(resolve)).then(() => window.plainFetch(path, options))
  : window.plainFetch(path, options);
"""
RELEASE = """
const done = arguments[0];
window.fetch = window.plainFetch;
window.held.forEach((resolve) => resolve());
setTimeout(done, 1000);
"""


def test_a_late_answer_does_not_come_over_what_is_shown_by_then(page, server):
    run = page.chromium.execute_script
    run("location.hash = '#/protein?id=nasty'")
    page.wait_for("#protein-title", "nasty")
    run(HELD_FETCH, "/api/search")
    run("location.hash = '#/search?q=late+question'")
    page.wait_for("#search", "Searching")
    run("location.hash = '#/protein?id=nasty'")
    page.wait_for("#protein-title", "nasty")
    assert page.one("#search").text == "Search"
    page.chromium.execute_async_script(RELEASE)
    assert run("return document.getElementById('results').hidden")
    assert page.one("#protein-title").text == "nasty"


def test_back_leads_to_the_residues_of_the_sequence_that_was_asked_then(page, server):
    _, protein = server.ask("/api/protein?id=nasty")
    page.ask(f">first\n{protein['sequence']}")
    page.wait_for("#understood", "protein first of 26")
    page.one("#open-query").click()
    page.wait_for("#protein-title", "first")
    page.ask("abc")
    page.wait_for("#understood", "PROTEIN NAME: abc")
    page.chromium.back()
    page.wait_for("#protein-title", "first")
    page.chromium.refresh()
    page.wait_for("#protein-title", "first")


@pytest.mark.parametrize("address", ["#/search", "#/protein", "#/sequence", "#/elsewhere"])
def test_an_address_that_asks_nothing_shows_the_introduction(page, address):
    page.chromium.execute_script("location.hash = arguments[0]", address)
    page.wait_for("#intro", "Search by text")


@pytest.mark.parametrize(("button", "end"), [(2, "pointerup"), (0, "pointercancel")])
def test_only_a_finished_drag_of_the_first_button_zooms(page, button, end):
    page.chromium.execute_script("location.hash = '#/protein?id=nasty'")
    page.wait_for("#protein-title", "nasty")
    page.one(".figure svg")
    left = page.chromium.execute_script(
        """
        const svg = document.querySelector(".figure svg"), box = svg.getBoundingClientRect();
        const at = (share) => (
          { clientX: box.left + share * box.width, clientY: box.top + 20, button: arguments[0], bubbles: true });
        const width = () => svg.querySelector(".window").getAttribute("width");
        const before = width();
        svg.dispatchEvent(new PointerEvent("pointerdown", at(0.4)));
        window.dispatchEvent(new PointerEvent("pointermove", at(0.6)));
        window.dispatchEvent(new PointerEvent(arguments[1], at(0.6)));
        window.dispatchEvent(new PointerEvent("pointermove", at(0.7)));
        return [before === width(), svg.querySelectorAll(":scope > rect").length];
        """,
        button,
        end,
    )
    # The paper and the cursor; no mark is left.
    assert left == [True, 2]


def test_the_tracks_of_the_longest_protein_are_drawn(page):
    drawn = page.chromium.execute_async_script(
        """
        const done = arguments[arguments.length - 1];
        import("/tracks.js").then(({ Tracks }) => {
          const track = { property: "function", weights: new Array(arguments[0]).fill(0) };
          track.weights[7] = 0.5;
          const tracks = new Tracks({ sequence: "A".repeat(arguments[0]), tracks: [track] }, [], () => {});
          done(tracks.svg.textContent);
        }).catch((error) => done(String(error)));
        """,
        MOST_RESIDUES,
    )
    assert "max 0.50" in drawn


def test_enter_within_a_composed_word_asks_nothing(page):
    page.ask("abc")
    page.wait_for("#understood", "PROTEIN NAME: abc")
    asked = page.chromium.execute_script(
        """
        const box = document.getElementById("query");
        box.value = "def";
        const enter = { key: "Enter", bubbles: true, cancelable: true, isComposing: true };
        box.dispatchEvent(new KeyboardEvent("keydown", enter));
        return location.hash;
        """
    )
    assert asked == "#/search?q=abc"


def test_an_unknown_protein_in_the_address_is_a_message(page, server):
    page.chromium.get(f"{server.address}#/protein?id=%3Cscript%3E")
    page.wait_for("#message", "The index has no protein <script>.")


def test_sigterm_answers_who_waits_and_ends_with_0(server):
    answers = []
    # A length that has not been asked for is compiled first, which takes a while.
    body = {"sequence": "ACDEFGHIKL" * 250, "properties": {"function": "abc"}}
    asking = threading.Thread(target=lambda: answers.append(server.ask("/api/tracks", body)))
    asking.start()
    time.sleep(0.4)
    assert not answers
    os.kill(server.process.pid, signal.SIGTERM)
    asking.join(60)
    assert server.process.wait(60) == 0
    (status, answer) = answers[0]
    assert status == 200
    assert len(answer["tracks"][0]["weights"]) == 2500
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(
            ("127.0.0.1", int(server.address.rpartition(":")[2].strip("/"))), timeout=5
        )
