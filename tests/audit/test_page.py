"""The page of an audit: opened from disk without a network, it shows, filters and lists what was found."""

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageColor
from playwright.sync_api import Page

from florilegium.audit import page
from florilegium.audit.comparison import Comparison, compare
from florilegium.audit.outcome import counts
from florilegium.audit.pictures import OUTLINE, contact_sheet, write_audit
from florilegium.config.products import Audit
from tests.helpers.audit import collection, picture
from tests.helpers.browser import offline_page

HOSTILE = "</textarea><script>alert(1)<!-- \"'&amp; \u202e"
RIGHT_HALF = np.array([2.0, 0, -1, 0, 1, 0])


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    """Two whole copies and a crop in two splits, and a double inside one."""
    images = {f"train/rose/{seed}.png": picture(seed) for seed in range(4)}
    images |= {"val/iris/0.png": picture(0), "train/iris/1.png": picture(1), f"test/{HOSTILE}/2.png": picture(2)}
    images |= {"test/iris/half.png": picture(3).crop((48, 0, 96, 80))}
    data = collection("flowers", tmp_path_factory.mktemp("audit") / "set", images)
    result = compare(data, data, Audit(crops=False))
    crop = {"image_a": "train/rose/3.png", "split_a": "train", "class_a": "rose", "verdict": "crop"}
    crop |= {"image_b": "test/iris/half.png", "split_b": "test", "class_b": "iris", "transform": "identity"}
    crop |= {"hash_distance": 24, "pixel_distance": 0.1, "contrast_share": 0.9, "scale": 2.0, "overlap": 0.5}
    row = pd.DataFrame([crop | {"points": 41, "agreement": 0.97, "correlation": 0.9, "frame": RIGHT_HALF}])
    assert set(row) <= set(result.pairs)
    return replace(result, pairs=pd.concat([result.pairs, row], ignore_index=True).astype({"points": "Int64"}))


@pytest.fixture(scope="module")
def written(found: Comparison, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written")
    write_audit(found, folder)
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Page]:
    with offline_page() as opened:
        yield opened


def test_pairs_are_counted_by_kind(found: Comparison) -> None:
    assert counts(found) == {"whole": 2, "cut": 1, "double": 1, "allowed": 0, "near": 0}


def test_the_page_shows_and_filters_every_pair(browser, written: Path) -> None:
    browser.goto((written / "audit.html").as_uri())
    assert "LEAK" in browser.inner_text("header") and "2\nwhole copies" in browser.inner_text("header")
    visible = ".pairs > li:not([hidden])"
    assert browser.locator(visible).count() == 4
    assert min(browser.eval_on_selector_all("img", "all => all.map(i => i.naturalWidth)")) > 50
    browser.select_option("#kind", "cut")
    assert browser.inner_text("#count") == "1 pair"
    assert "cut to 50%, 41 points, 97% of the overlap agrees" in browser.inner_text(visible)
    image, drawing = (browser.locator(f"{visible} {of}").first.bounding_box() for of in ("img", "svg"))
    assert drawing == image
    frames = browser.eval_on_selector_all(
        f"{visible} polygon", "all => all.map(p => p.getBBox()).map(b => [b.x, b.width])"
    )
    assert frames == [[50, 50]] * 2 + [[0, 100]] * 2
    browser.select_option("#kind", "")
    browser.select_option("#split", label="test · train")
    assert browser.inner_text("#count") == "2 pairs"
    browser.select_option("#class", label="iris")
    assert browser.inner_text("#count") == "1 pair"
    assert browser.complaints == []


def test_names_of_files_are_texts_on_the_page(browser, written: Path) -> None:
    browser.goto((written / "audit.html").as_uri())
    assert "</textarea><script>alert(1)<!-- \"'&amp; \\u202e/2.png" in browser.inner_text("#pairs")
    assert browser.locator("script").count() == 1 and browser.complaints == []
    assert set(browser.input_value("textarea").split()) == {f"train/rose/{seed}.png" for seed in (0, 2, 3)}


def test_the_page_fits_a_phone_and_is_used_by_keys(browser, written: Path) -> None:
    browser.set_viewport_size({"width": 390, "height": 800})
    browser.goto((written / "audit.html").as_uri())
    assert browser.evaluate("document.documentElement.scrollWidth") <= 390
    browser.focus("#kind")
    browser.keyboard.press("ArrowDown")
    assert browser.inner_text("#count") == "2 pairs"
    browser.set_viewport_size({"width": 1280, "height": 900})


def test_all_words_stand_out_from_their_ground_in_light_in_dark_and_on_paper(browser, written: Path) -> None:
    """WCAG 2.1, 1.4.3: a contrast of 4.5."""
    for scheme, media in (("light", "screen"), ("dark", "screen"), ("light", "print"), ("dark", "print")):
        browser.emulate_media(color_scheme=scheme, media=media)
        browser.goto((written / "audit.html").as_uri())
        assert browser.evaluate(CONTRAST) >= 4.5, (scheme, media)
    browser.emulate_media(color_scheme="light", media="screen")


CONTRAST = """() => {
  const light = text => {
    const [r, g, b] = text.match(/[\\d.]+/g).map(Number).map(v => v / 255)
      .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = node => {
    const colour = getComputedStyle(node).backgroundColor;
    return colour !== "rgba(0, 0, 0, 0)" || !node.parentElement ? colour : ground(node.parentElement);
  };
  const worded = [...document.body.querySelectorAll("*")].filter(node => node.tagName !== "SCRIPT"
    && [...node.childNodes].some(child => child.nodeType === 3 && child.data.trim()));
  return Math.min(...worded.map(node => {
    const [a, b] = [light(getComputedStyle(node).color), light(ground(node))];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  }));
}"""


def test_of_many_pairs_both_ends_are_pictured_some_are_named_and_the_table_has_all(
    browser, found: Comparison, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(page, "PICTURED", 4)
    monkeypatch.setattr(page, "LISTED_PAIRS", 6)
    many = found.pairs.iloc[[0] * 9].reset_index(drop=True)
    many["pixel_distance"] = np.arange(9) / 1000
    many[["split_a", "split_b"]] = "train", "test"
    html = page.render_page(replace(found, pairs=many), pd.DataFrame({"image": []}), b"")
    assert re.findall(r"pixels 0\.00(\d)0", html) == ["0", "1", "2", "6", "7", "8"]
    told = "Whole copies: 4 of 9 are shown in pictures, the surest and the least sure; 2 between them are only named; "
    assert f"{told}pairs.csv beside it lists all." in html
    (tmp_path / "page.html").write_text(html)
    browser.goto((tmp_path / "page.html").as_uri())
    drawn = browser.eval_on_selector_all(".pairs > li", "all => all.map(li => li.querySelectorAll('img').length)")
    assert drawn == [2, 2, 0, 0, 2, 2]
    browser.select_option("#kind", "whole")
    assert browser.inner_text("#count") == "6 pairs"


def test_the_largest_page_and_sheet_are_of_a_size_that_people_send(found: Comparison, written: Path) -> None:
    """Three kinds can meet in one audit, beside what is only near; the mottles are finer than leaves or fur."""
    mottled = Image.fromarray(np.random.default_rng(0).integers(60, 200, (44, 44, 3), np.uint8))
    one = len(page.webp(mottled.resize((page.LONGEST, page.LONGEST), Image.Resampling.BICUBIC)))
    assert (3 * page.PICTURED + page.PICTURED_NEAR) * 2 * one < 10_000_000
    with Image.open(written / "contact_sheet.png") as sheet:
        assert sheet.mode == "P" and (np.asarray(sheet.convert("RGB"))[:20] == 255).all()


def test_an_audit_without_pairs_has_a_page(tmp_path: Path) -> None:
    a = collection("a", tmp_path / "x", {"train/rose/1.png": picture(1)})
    b = collection("b", tmp_path / "y", {"test/rose/2.png": picture(2)})
    write_audit(compare(a, b, Audit()), tmp_path / "out")
    html = unescape((tmp_path / "out/audit.html").read_text())
    assert "no leak" in html and "There is none." in html and "<p>Nothing.</p>" in html
    assert (tmp_path / "out/dropped.txt").read_bytes() == b""


def test_the_page_names_no_address_but_data(written: Path) -> None:
    html = (written / "audit.html").read_text()
    assert set(re.findall(r"""(?:src|href)=["']?(data:|#|[a-z]+:)""", html)) == {"data:", "#"}
    assert not re.search(r"https?://|@import|url\(", html)


def test_a_shell_reads_every_name_of_what_to_drop(tmp_path: Path) -> None:
    names = [
        "a.png",
        "two\nlines\n.png",
        "\nfirst",
        'it\'s "5" $HOME `x` \\.png',
        os.fsdecode(b"caf\xe9.png"),
        "-rf",
        " ",
    ]
    done = subprocess.run(
        ["xargs", "-r", "printf", "%s\\0", "--"], input=page.quoted(names), stdout=subprocess.PIPE, check=True
    )
    assert os.fsdecode(done.stdout).split("\0")[-len(names) - 1 : -1] == names


def test_the_sheet_frames_the_part_that_a_crop_shows(found: Comparison) -> None:
    def marked(comparison: Comparison) -> int:
        return int((np.asarray(contact_sheet(comparison)) == ImageColor.getrgb(OUTLINE)).all(axis=2).sum())

    whole = replace(found, pairs=found.pairs[found.pairs["verdict"] != "crop"])
    assert marked(whole) == 0 and marked(found) > 500
