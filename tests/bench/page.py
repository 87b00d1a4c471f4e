"""Tables of the benchmarks in docs/: what stands behind a mark, or between two, is written anew."""

from pathlib import Path

TOP = Path(__file__).resolve().parents[2]


def write(page, text, begin="<!-- table -->", end=None):
    """`page` below docs/; without `end` the table is the page's last part."""
    path = TOP / "docs" / page
    before, _, rest = path.read_text().partition(begin)
    assert rest or end is None, f"{path} has no {begin}"
    behind = "" if end is None else end + rest.split(end, 1)[1]
    path.write_text(f"{before}{begin}\n{text.rstrip()}\n{behind}")
