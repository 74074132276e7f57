"""The drawings, read back from their SVG."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

import pytest

from diffusion_notes.notebook.diagrams import Diagram, chain_diagram

SVG = "{http://www.w3.org/2000/svg}"
NODES = {"x": (0, 0, True), "z_1": (1, -0.75, False), "z_2": (2, 0, False)}
EDGES = [("z_1", "x", "p(x|z_1)", "p"), ("x", "z_2", "q(z_2|x)", "q"), ("z_2", "z_1", "", "q")]


def diagram(nodes=NODES, edges=EDGES, alt="Three circles.") -> Diagram:
    return Diagram(nodes, edges, alt)


def parsed(diagram: Diagram) -> ElementTree.Element:
    return ElementTree.fromstring(diagram.svg())


def numbers(text: str) -> list[float]:
    return [float(number) for number in re.findall(r"-?[\d.]+", text)]


def circles(diagram: Diagram) -> list[tuple[float, float, float, bool]]:
    """x, y, radius, and whether it is filled."""
    found = parsed(diagram).iter(f"{SVG}circle")
    return [(*(float(c.get(name)) for name in ("cx", "cy", "r")), c.get("fill") is not None) for c in found]


def arrows(diagram: Diagram) -> list[tuple[tuple[float, ...], bool, list[float]]]:
    """Start, control point and end of each curve, whether it is dashed, and the corners of its head."""
    root = parsed(diagram)
    heads = [numbers(head.get("points")) for head in root.iter(f"{SVG}polygon")]
    paths = [(numbers(path.get("d")), path.get("stroke-dasharray") is not None) for path in root.iter(f"{SVG}path")]
    return [(curve, dashed, head) for (curve, dashed), head in zip(paths, heads, strict=True)]


def labels(diagram: Diagram) -> list[str]:
    """What is written, without the spaces that are there for the eye."""
    texts = ["".join(text.itertext()) for text in parsed(diagram).iter(f"{SVG}text")]
    return [re.sub("[\u2009\u200b]", "", text) for text in texts]


def test_every_node_is_a_circle_with_its_name():
    places = [(x, y) for x, y, _, _ in circles(diagram())]
    assert len(places) == 3
    # in the given places, up to one scale
    (x0, y0), (x1, y1), (x2, y2) = places
    assert (x0, y0) == (0, 0)
    assert x1 > 0
    assert (x2, y2) == (2 * x1, 0)
    assert y1 == pytest.approx(-0.75 * x1)
    assert [observed for *_, observed in circles(diagram())] == [True, False, False]
    assert {"x", "z1", "z2"} <= set(labels(diagram()))


def test_dots_stand_for_what_is_left_out():
    drawn = chain_diagram(["x", "z_1", "...", "z_T"], alt="A long chain.")
    large, small = ([c for c in circles(drawn) if (c[2] > 10) == big] for big in (True, False))
    assert len(large) == 3
    assert len(small) == 3
    assert {y for _, y, _, _ in small} == {0}
    assert "..." not in labels(drawn)
    assert sorted(label for label in labels(drawn) if "(" in label) == ["p(x|z1)", "q(z1|x)"]
    assert len(arrows(drawn)) == 6


def test_p_is_solid_and_q_is_dashed():
    assert [dashed for _, dashed, _ in arrows(diagram())] == [False, True, True]
    curved = [(a, b, label, f"{kind} curved") for a, b, label, kind in EDGES]
    assert [dashed for _, dashed, _ in arrows(diagram(edges=curved))] == [False, True, True]


@pytest.mark.parametrize("curved", ["", " curved"])
def test_an_arrow_leads_from_rim_to_rim_and_its_head_is_where_it_arrives(curved):
    drawn = diagram(edges=[(a, b, label, kind + curved) for a, b, label, kind in EDGES])
    place = dict(zip(NODES, circles(drawn), strict=True))
    for (start, end, _, _), (curve, _, head) in zip(drawn.edges, arrows(drawn), strict=True):
        radius = place[start][2]
        assert math.dist(curve[:2], place[start][:2]) == pytest.approx(radius, abs=0.2)
        assert radius <= math.dist(curve[4:], place[end][:2]) < radius + 6
        assert curve[4:] == head[:2]
        # the wings lie behind the tip, on either side of the way it comes
        for wing in (head[2:4], head[4:]):
            assert math.dist(wing, place[end][:2]) > math.dist(head[:2], place[end][:2]) + 5
        way = (curve[4] - curve[2], curve[5] - curve[3])
        sides = [way[0] * (head[i + 1] - head[1]) - way[1] * (head[i] - head[0]) for i in (2, 4)]
        assert sides[0] * sides[1] < 0


def test_a_straight_arrow_is_straight_and_two_curved_ones_part():
    (straight, _, _), *_ = arrows(diagram())
    x0, y0, x1, y1, x2, y2 = straight
    assert (x1 - x0) * (y2 - y0) == pytest.approx((y1 - y0) * (x2 - x0), abs=20)
    (there, *_), (back, *_) = arrows(chain_diagram(["x", "z"], alt="Two circles."))
    assert abs(there[3]) > 30
    for curve in (there, back):  # on one side all the way
        assert all(y / curve[3] > 0.05 for y in (curve[1], curve[5]))
    assert there[3] * back[3] < 0


def test_a_chain_goes_from_the_data_on_the_left_to_the_last_latent():
    drawn = chain_diagram(["x", "z_1", "z_2"], alt="Three circles in a row.")
    (x0, y0, _, seen), (x1, y1, _, hidden), (x2, y2, _, top) = circles(drawn)
    assert x0 < x1 < x2
    assert x1 - x0 == pytest.approx(x2 - x1)
    assert y0 == y1 == y2 == 0
    assert (seen, hidden, top) == (True, False, False)
    assert [label for label in labels(drawn) if "(" in label] == ["p(x|z1)", "q(z1|x)", "p(z1|z2)", "q(z2|z1)"]
    for curve, dashed, _ in arrows(drawn):
        if dashed:  # q goes up the chain, and above it
            assert curve[0] < curve[4]
            assert curve[3] < 0
        else:
            assert curve[0] > curve[4]
            assert curve[3] > 0


@pytest.mark.parametrize("drawn", [diagram(), chain_diagram(["x", "z_1", "z_2"], alt="Three."), diagram(edges=[])])
def test_everything_is_within_the_picture(drawn):
    root = parsed(drawn)
    left, top, width, height = (float(number) for number in root.get("viewBox").split())
    inside = [(x + a * r, y + b * r) for x, y, r, _ in circles(drawn) for a in (-1, 1) for b in (-1, 1)]
    inside += [tuple(point) for curve, _, head in arrows(drawn) for point in (curve[2:4], head[2:4], head[4:])]
    inside += [(float(text.get("x")), float(text.get("y"))) for text in root.iter(f"{SVG}text")]
    assert all(left < x < left + width and top < y < top + height for x, y in inside)
    assert float(root.get("width")) == width


def test_an_index_is_set_lower_and_what_follows_is_not():
    drawn = diagram(edges=[("x", "z_2", "q(z_10|x_t,y)", "q")])
    spans = [
        [(span.text, float(span.get("dy", 0))) for span in text.iter(f"{SVG}tspan")]
        for text in parsed(drawn).iter(f"{SVG}text")
    ]
    written = next(text for text in spans if len(text) > 8)
    height, lowered = 0.0, ""
    for text, dy in written:
        height += dy
        lowered += text if height > 0 else ""
    assert lowered == "10t"
    assert height == 0


def test_it_says_what_it_shows():
    root = parsed(diagram(alt='x < z & "so on"'))
    assert root.get("role") == "img"
    assert root[0].tag == f"{SVG}title"
    assert root[0].text == 'x < z & "so on"'


def test_names_and_labels_are_escaped():
    nodes = {"<x>": (0, 0, True), "a&b_<c>": (1, 0, False)}
    drawn = diagram(nodes, [("a&b_<c>", "<x>", 'p(<|"&_<)', "p")])
    assert labels(drawn) == ['p(<|"&<)', "<x>", "a&b<c>"]


def test_a_notebook_gets_a_picture_and_a_page():
    drawn = diagram()
    bundle = drawn._repr_mimebundle_()
    assert bundle["text/plain"] == repr(drawn) == "Diagram(3 nodes, 3 edges)"
    assert bundle["image/svg+xml"] == drawn.svg()
    page = ElementTree.fromstring(bundle["text/html"])
    assert page.tag == "div"
    assert page.get("data-diagram")
    assert drawn.svg() in bundle["text/html"]
    assert drawn._repr_mimebundle_(include=None, exclude=None) == bundle


def test_it_takes_the_colour_of_the_text():
    colours = re.findall(r'(?:fill|stroke)="([^"]*)"', diagram().svg())
    assert set(colours) == {"currentColor", "none"}


def test_the_same_drawing_is_the_same_text():
    assert diagram().svg() == diagram().svg()
    nodes, edges = dict(NODES), list(EDGES)
    drawn = diagram(nodes, edges)
    before = drawn.svg()
    nodes.clear(), edges.clear()
    assert drawn.svg() == before


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: diagram(alt=""), ValueError, "alt must not be empty"),
        (lambda: diagram(alt=" \n"), ValueError, "alt must not be empty"),
        (lambda: diagram(alt=None), TypeError, "alt must be text, got NoneType None"),
        (lambda: chain_diagram(["x", "z"], alt=3), TypeError, "alt must be text, got int 3"),
        (lambda: diagram({}, []), ValueError, "at least one node"),
        (lambda: chain_diagram([], alt="Nothing."), ValueError, "at least one node"),
        (lambda: diagram(edges=[("x", "y", "", "p")]), ValueError, "must join two nodes .* got 'x' and 'y'"),
        (lambda: diagram(edges=[("y", "x", "", "p")]), ValueError, "must join two nodes .* got 'y' and 'x'"),
        (lambda: diagram(edges=[("x", "x", "", "p")]), ValueError, "must join two nodes .* got 'x' and 'x'"),
        (lambda: chain_diagram(["x", "x"], alt="Twice."), ValueError, "must join two nodes .* got 'x' and 'x'"),
        (
            lambda: diagram({"x": (0, 0, True), "y": (0, 0, False)}, [("x", "y", "", "p")]),
            ValueError,
            "must join two nodes in two places, got 'x' and 'y'",
        ),
        (
            lambda: diagram(edges=[("x", "z_1", "", "r")]),
            ValueError,
            "kind of an edge in edges must be one of p, q, .* got 'r'",
        ),
        (
            lambda: diagram(edges=[("x", "z_1", "", "curved")]),
            ValueError,
            "kind of an edge in edges must be one of p, q",
        ),
        (
            lambda: diagram(edges=[("x", "z_1", "", "p bent")]),
            ValueError,
            "kind of an edge in edges must be one of p, q",
        ),
    ],
)
def test_bad_input_is_named(call, error, words):
    with pytest.raises(error, match=words):
        call()
