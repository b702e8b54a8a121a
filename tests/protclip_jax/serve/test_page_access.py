"""The page for everybody: on a phone, by keyboard, in the dark, and in what it saves and tells."""

import csv
import io
import json
import struct
import threading
import urllib.parse

import pytest

from protclip_jax.retrieval import item_table
from protclip_jax.serve import chromium, pictures
from protclip_jax.serve import server as http
from protclip_jax.serve.app import create_app
from protclip_jax.serve.limits import Limits
from tests.support import browser
from tests.support.accessibility import RING, axe_source, violations
from tests.support.browser import Page

DESK, PHONE = {"width": 1200, "height": 1000}, {"width": 390, "height": 844, "phone": True}
SCREENS = {
    "desk, light": DESK | {"scheme": "light"},
    "desk, dark": DESK | {"scheme": "dark"},
    "phone, light": PHONE | {"scheme": "light"},
    "phone, dark": PHONE | {"scheme": "dark"},
}
NASTY_SEQUENCE = "MWWWWHHHHKKKKCCCCWWWWHHHHM"
CALIBRATED = """
const share = { trait: "family", share: 0.72, low: 0.6, base_rate: 0.012, questions: 1234 };
const hit = (rank, organism, taxon) => ({ rank, id: `P${rank}`, name: "=1+1", length: 120, source: "swissprot", cosine: 0.5,
  margin: 0.2, by: "model", gene: "abc", organism, taxon, function: "Binds.", location: "", entry_name: "", link: "https://x.org/",
  confidence: share, confidences: { family: share, ec: { ...share, trait: "ec", share: 0.3 } } });
const hits = [hit(1, "Homo sapiens", 9606), hit(2, "Homo sapiens", 9606), hit(3, "Mus musculus", 10090)];
const understood = { kind: "text", asked: ["PROTEIN NAME: x"], cut: 0, unknown: [], is_asked: true };
const proteins = { hits, items: 3, confident: true, verdict: "Of hits like the best, 72 % agreed.", background: {} };
const done = arguments[arguments.length - 1];
window.chosen = [];
import("/results.js").then(({ showResults }) => {
  showResults(document.getElementById("results"), { understood, matches: [hits[2]], labels: {}, proteins }, "",
    { only: (taxon) => window.chosen.push(taxon), openProtein() {}, openSequence() {}, readAs() {}, showMessage() {} });
  done(true);
}).catch((error) => done(String(error)));
"""


@pytest.fixture(scope="module")
def address(engine):
    bound = http.listening_socket("127.0.0.1", 0)
    app = create_app(engine, limits=Limits(), hosts=("127.0.0.1",), title="tiny")
    served = http.configured(app, Limits())
    thread = threading.Thread(target=served.run, kwargs={"sockets": [bound]})
    thread.start()
    yield f"http://127.0.0.1:{bound.getsockname()[1]}/"
    served.should_exit = True
    thread.join(20)


@pytest.fixture(scope="module")
def page(address, tmp_path_factory):
    browser.require()
    folder = tmp_path_factory.mktemp("browser")
    with browser.opened(folder) as chromium:
        page = Page(chromium, folder)
        page.emulate()
        chromium.get(address)
        page.wait_for("#about", "proteins, exact search")
        yield page
        assert page.complaints() == []


@pytest.fixture(autouse=True)
def on_a_desk(page):
    """Each test changes the screen as it likes."""
    yield
    page.emulate()


def go(page, address, css, text=""):
    """Opens an address behind '#' and waits for what it shows."""
    page.run("location.hash = arguments[0]", address)
    page.wait_for(css, text)


def show_introduction(page):
    go(page, "#/", "#intro", "Search by text")


def show_answer(page):
    go(page, "#/search?q=abc+fed", "#understood", "PROTEIN NAME: abc fed")


def show_message(page):
    go(page, "#/search?q=%3Ea%0AMK1", "#message", "at position 3")


def show_look_up(page):
    go(page, "#/search?q=nasty", "#matches", "Open nasty")


def show_descriptions(page):
    go(page, f"#/search?q={NASTY_SEQUENCE}", "[role=tab]")
    page.all("[role=tab]")[1].click()
    page.wait_for("#panel-1", "Best 3 of 3 labels")


def show_protein(page):
    go(page, "#/protein?id=nasty", "#protein-title", "nasty")
    page.one(".figure svg")
    page.one("#heaviest summary").click()


def show_list(page):
    text = f">first\n{NASTY_SEQUENCE}\n>second\nMK1"
    go(page, f"#/search?{urllib.parse.urlencode({'q': text})}", "#batch-counted", "2 of 2")


def show_confidence(page):
    show_introduction(page)
    assert page.chromium.execute_async_script(CALIBRATED) is True
    page.one("[data-confidence=P1]").click()
    page.wait_for("#confidence", "Confidence in P1")


VIEWS = (
    show_introduction,
    show_answer,
    show_message,
    show_look_up,
    show_descriptions,
    show_protein,
    show_list,
    show_confidence,
)


def is_as_wide_as(page, screen):
    """Whether what is shown is as wide as the screen, less a scroll bar of the page's height."""
    script = "const { scrollWidth, clientWidth } = document.documentElement;"
    shown, room, screen_width = page.run(script + "return [scrollWidth, clientWidth, innerWidth]")
    return shown == room and screen_width == SCREENS[screen]["width"]


@pytest.mark.parametrize("screen", SCREENS)
def test_no_view_has_a_serious_violation_or_scrolls_sideways(page, screen):
    source = axe_source()
    page.emulate(**SCREENS[screen])
    # All rules once a size; what light and dark change is the contrast.
    rules = None if screen in ("desk, light", "phone, dark") else ["color-contrast"]
    found = {}
    for show in VIEWS:
        show(page)
        assert is_as_wide_as(page, screen), show.__name__
        found[show.__name__] = violations(page.chromium, source, rules)
    page.run("document.getElementById('confidence').close()")
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_focus_is_seen(page, scheme):
    page.emulate(scheme=scheme)
    show_answer(page)
    for css in ("#query", "#kind", "#search", ".brand", "#results [data-id]", "#results .download"):
        style, width, contrast = page.run(RING, page.one(css))
        assert (style, width >= 2, contrast >= 3) == ("solid", True, True), (css, contrast)
    show_protein(page)
    style, width, contrast = page.run(RING, page.one(".figure svg"))
    assert (style, width >= 2, contrast >= 3) == ("solid", True, True), contrast


def test_the_other_pages_have_no_serious_violation_either(page, address):
    source = axe_source()
    try:
        for path, text in (("api.html", "/api/search"), ("nowhere", "Page not found")):
            page.chromium.get(address + path)
            page.wait_for("main", text)
            for screen in ("desk, dark", "phone, light"):
                page.emulate(**SCREENS[screen])
                assert is_as_wide_as(page, screen), path
                assert violations(page.chromium, source) == []
        page.chromium.get(address + "api.html")
        page.wait_for("#routes", "the queue is full")
        assert "zinc-binding protease" in page.one("#routes pre").text or page.all("#routes pre")
    finally:
        page.chromium.get(address)
        page.wait_for("#about", "proteins, exact search")


def test_a_tap_chooses_a_residue_and_the_drawing_is_as_wide_as_the_phone(page, engine):
    page.emulate(**SCREENS["phone, light"])
    show_protein(page)
    svg = page.one(".figure svg")
    fits = "const svg = document.querySelector('.figure svg');"
    fits += "const [, , width] = svg.getAttribute('viewBox').split(' ').map(Number);"
    fits += "return width > 320 && Math.abs(width - svg.getBoundingClientRect().width) < 1 && width"
    width = page.wait_until(fits)
    page.run("arguments[0].scrollIntoView({block: 'center'})", svg)
    box = page.run("return arguments[0].getBoundingClientRect().toJSON()", svg)
    residue = 9
    x = box["left"] + 6 + (residue + 0.5) * (width - 12) / len(NASTY_SEQUENCE)
    point = {"x": x, "y": box["top"] + 40}
    for kind, points in (("touchStart", [point]), ("touchEnd", [])):
        page.chromium.execute_cdp_cmd(
            "Input.dispatchTouchEvent", {"type": kind, "touchPoints": points}
        )
    page.wait_for("#readout", f"{NASTY_SEQUENCE[residue]}{residue + 1}")
    row = item_table.row_of(engine.proteins.items, "nasty")
    name = item_table.item_at(engine.proteins.items, row)["name"]
    (weights,) = engine.model.segments(NASTY_SEQUENCE, {"name": f"PROTEIN NAME: {name}"})
    found = page.one("#readout").text.split()
    assert float(found[found.index("name") + 1]) == pytest.approx(weights[residue], rel=6e-3)
    page.one("#after").click()
    page.wait_for("#readout", f"{NASTY_SEQUENCE[residue + 1]}{residue + 2}")


def test_rows_are_cards_on_a_phone_alone(page):
    show_answer(page)
    display = "return getComputedStyle(document.querySelector('#results tbody tr')).display"
    assert page.run(display) == "table-row"
    page.emulate(**SCREENS["phone, light"])
    assert page.run(display) == "grid"
    page.emulate(width=720)
    assert page.run(display) == "table-row"
    names = "return [...document.querySelectorAll('#results tr:nth-child(1) > [role=cell]')]"
    assert "Cosine" in page.run(names + ".map((cell) => cell.dataset.label)")


def press(page, *keys):
    from selenium.webdriver.common.action_chains import ActionChains

    ActionChains(page.chromium).send_keys(*keys).perform()


def test_residues_are_reached_by_keys_and_reported(page):
    from selenium.webdriver.common.keys import Keys

    show_protein(page)
    svg = page.one(".figure svg")
    page.run("arguments[0].focus()", svg)
    moves = [(Keys.ARROW_RIGHT, 1), (Keys.ARROW_RIGHT, 2), (Keys.ARROW_LEFT, 1), (Keys.END, 26)]
    moves += [(Keys.PAGE_DOWN, 16), (Keys.HOME, 1), (Keys.ARROW_LEFT, 1)]
    for key, position in moves:
        press(page, key)
        assert svg.get_attribute("aria-valuenow") == str(position)
        residue = f"{NASTY_SEQUENCE[position - 1]}{position}"
        assert svg.get_attribute("aria-valuetext").startswith(f"{residue}, name ")
        assert page.one("#readout").text.startswith(residue)
    press(page, Keys.ESCAPE)
    assert svg.get_attribute("aria-valuetext") == "no residue chosen"
    assert "press the arrow keys" in page.one("#readout").text


def test_the_focus_comes_back_with_the_answer_and_titles_say_what_is_shown(page):
    from selenium.webdriver.common.keys import Keys

    show_answer(page)
    second = page.all("#results tbody [data-id]")[1]
    id = second.get_attribute("data-id")
    assert page.chromium.title == "abc fed – ProtCLIP search"
    page.run("arguments[0].focus()", second)
    press(page, Keys.ENTER)
    page.wait_for("#protein-title", id)
    page.wait_until("return document.activeElement.id === 'protein-title'")
    page.wait_until("return document.title.startsWith(arguments[0])", id)
    page.chromium.back()
    page.wait_until("return document.activeElement.dataset.id === arguments[0]", id)
    assert page.chromium.title == "abc fed – ProtCLIP search"
    assert "the nearest is" in page.run("return document.getElementById('status').textContent")
    go(page, "#/protein?id=nobody", "#message", "The index has no protein nobody")
    assert page.chromium.title == "Not found – ProtCLIP search"
    show_introduction(page)
    assert page.chromium.title == "ProtCLIP search"


def test_texts_that_are_changed_live_in_the_address(page):
    show_protein(page)
    box = page.one("#property-function")
    box.send_keys("Binds abc.")
    page.one("#update").click()
    page.wait_until("return location.hash.includes('function=Binds+abc.')")
    page.wait_until("return document.querySelector('[data-property=function]')")
    page.chromium.refresh()
    page.wait_until("return document.querySelector('[data-property=function]')")
    assert page.one("#property-function").get_attribute("value") == "Binds abc."
    page.chromium.back()
    page.wait_until("return document.getElementById('property-function')?.value === ''")
    page.wait_until("return !document.querySelector('[data-property=function]')")


@pytest.mark.parametrize(
    ("kind", "asked"),
    [("function", "FUNCTION: abc fed"), ("similarity", "SIMILARITY: abc fed")],
)
def test_a_text_is_read_as_what_is_chosen(page, kind, asked):
    show_introduction(page)
    page.run("document.getElementById('kind').value = arguments[0]", kind)
    page.ask("abc fed")
    page.wait_for("#understood", asked)
    assert f"as={kind}" in page.chromium.current_url


HELD = """
window.plainFetch ??= window.fetch;
window.fetch = (path, options) => new Promise((resolve) => { window.release = resolve; }).then(() => window.plainFetch(path, options));
"""


def test_who_waits_sees_rows_to_come_and_how_long_it_has_been(page):
    show_introduction(page)
    page.run(HELD)
    page.run("location.hash = '#/search?q=slow+question'")
    page.wait_for("#elapsed", " s")
    assert len(page.all(".waiting .skeleton")) == 5
    first = float(page.one("#elapsed").text.split()[0])
    page.wait_until(
        "return parseFloat(document.getElementById('elapsed').textContent) > arguments[0]", first
    )
    page.run("window.fetch = window.plainFetch; window.release()")
    page.wait_for("#understood", "slow question")
    assert not page.chromium.find_elements("css selector", ".skeleton")


def test_several_records_are_asked_one_by_one_and_saved_harmlessly(page):
    show_introduction(page)
    records = f">=cmd|x the first\n{NASTY_SEQUENCE}\n>wrong\nMK1\n>third\n{NASTY_SEQUENCE[:20]}"
    page.ask(records)
    page.wait_for("#batch-counted", "3 of 3 answered")
    rows = page.all("#results tbody tr")
    assert [row.find_element("css selector", "[data-query]").text for row in rows] == [
        "=cmd|x the first", "wrong", "third",
    ]  # fmt: skip
    assert rows[0].find_element("css selector", "[data-id]").text == "nasty"
    assert "at position 3" in rows[1].text
    assert page.chromium.title == "3 queries – ProtCLIP search"
    for kind, delimiter in (("TSV", "\t"), ("CSV", ",")):
        page.one(f".download[data-kind={kind}]").click()
        saved = csv.DictReader(
            io.StringIO(page.downloaded(f"answers.{kind.lower()}")), delimiter=delimiter
        )
        saved = list(saved)
        assert {row["query"] for row in saved} == {"'=cmd|x the first", "third"}
        assert saved[0]["id"] == "nasty"
    page.one(".download[data-kind=FASTA]").click()
    assert f"\n{NASTY_SEQUENCE}\n" in page.downloaded("answers.fasta")
    page.all("[data-query]")[2].click()
    page.wait_for("#understood", "the protein third of 20 residues")
    page.chromium.back()
    page.wait_for("#batch-counted", "3 of 3 answered")


def test_lines_are_asked_by_themselves_where_that_is_chosen(page):
    show_introduction(page)
    page.ask("abc fed\ncab")
    page.wait_for("#understood", "Search each line separately")
    page.one("[data-read-as=lines]").click()
    page.wait_for("#batch-counted", "2 of 2 answered")
    assert [each.text for each in page.all("[data-query]")] == ["abc fed", "cab"]


def test_organisms_of_the_hits_are_offered_and_confidence_explains_itself(page):
    show_introduction(page)
    assert page.chromium.execute_async_script(CALIBRATED) is True
    chips = page.all(".facet button")
    assert [chip.text for chip in chips] == ["Homo sapiens (2)", "Mus musculus (1)"]
    chips[1].click()
    assert page.run("return window.chosen") == ["10090"]
    page.one("[data-confidence=P1]").click()
    page.wait_for("#confidence", "72 % agreed with their query in the family")
    assert "1,234" in page.one("#confidence table").text
    page.one("#confidence button").click()
    page.wait_until("return document.activeElement.dataset.confidence === 'P1'")
    go(page, "#/search?q=abc+fed&of=32630", ".facet", "Organism: 32630")
    page.one("#any-organism").click()
    page.wait_until("return !location.hash.includes('of=')")


def test_pictures_are_taken_of_the_whole_page_and_of_a_phones_screen(page, address):
    path = chromium.find_chromium()
    with chromium.opened(path) as taking:
        sizes = {}
        for picture in pictures.PICTURES:
            png = pictures.take(taking, address, "abc fed", picture)
            assert png.startswith(b"\x89PNG")
            sizes[picture.file] = struct.unpack(">II", png[16:24])
    assert {sizes[picture.file][0] for picture in pictures.PICTURES} == {1200, 390}
    assert sizes["search_text.png"][1] > 900
    assert sizes["search_phone.png"] == (390, 844)


def test_without_chromium_a_line_says_so(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(chromium, "find_chromium", lambda: None)
    given = ["--checkpoint", "c", "--index", "i", "--text", "x", "--output", str(tmp_path)]
    assert pictures.main(given) == 0
    assert capsys.readouterr().err == "took no screenshots: Chromium is not installed.\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("=1+1", "'=1+1"),
        ("-0.5", "-0.5"),
        ("@x", "'@x"),
        ("a\x1b[31m\tb", "a\ufffd[31m b"),
        ("\uff1dx", "'\uff1dx"),
    ],
)
def test_cells_of_saved_tables_are_plain(page, value, kept):
    script = "const done = arguments[1]; import('/files.js').then(({ plainCell }) => done(plainCell(arguments[0])))"
    assert page.chromium.execute_async_script(script, value) == kept
    quoted = "const done = arguments[1]; import('/files.js').then(({ csv }) => done(csv([[arguments[0], 'x']])))"
    written = page.chromium.execute_async_script(quoted, f'{value},"')
    assert next(csv.reader(io.StringIO(written))) == [
        f'{json.loads(json.dumps(kept))},"'.replace("-0.5,", "'-0.5,"),
        "x",
    ]
