"""How rows were learned and written, and what became of general texts."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from equipoise.recipe import Recipe
from equipoise.report.charts import bar
from equipoise.report.read import WrittenFolder
from equipoise.report.words import count, number, percent, signed

_WEIGH = {
    "token": "every learned token the same",
    "row": "every row the same, whatever its length",
    "category": "every category the same, whatever its tokens",
}


def writing_facts(run: WrittenFolder) -> tuple[tuple[str, str], ...]:
    """What, how."""
    write = Recipe.model_validate(run.manifest.recipe).write
    decode, keep = write.decode, write.keep
    packed = any("not packed" in note for note in run.manifest.notes)
    cut = run.manifest.model.truncated_rows
    long = f"{count(cut, 'row')} cut, what is asked first" if cut else "none"
    facts = [
        ("What counts the same in the loss", _WEIGH[write.weigh]),
        ("Packing", "on" if write.packing and not packed else "off"),
        (
            "Rows longer than the window",
            "refused" if write.too_long == "error" else long,
        ),
        ("Learned tokens of the judged rows", f"{int(run.written.tokens.sum()):,}"),
        ("Texts asked for", _asked(run, write.decode_rows)),
    ]
    if run.asked:
        how = "the likeliest token" if decode.temperature == 0 else "drawn"
        if decode.beams > 1:
            how = f"{decode.beams} beams"
        drawn = f", temperature {decode.temperature:g}, top {percent(decode.top_p)}"
        facts.append(
            (
                "How they were written",
                f"{how}{drawn if decode.temperature else ''}, "
                f"at most {count(decode.new_tokens, 'token')}",
            )
        )
    if keep.replay is not None:
        facts.append(("Replayed general texts", f"{percent(keep.replay_share)} of a step's rows"))
    if keep.kl:
        facts.append(("Held to the base by KL", f"{keep.kl:g} a token"))
    if keep.interpolate < 1:
        facts.append(("Way from the base that was kept", percent(keep.interpolate)))
    return tuple(facts)


def _asked(run: WrittenFolder, wanted: int) -> str:
    said = f"{run.asked:,} of {count(len(run.written), 'judged row')}"
    if run.asked < len(run.written):
        said += f", as write.decode_rows = {wanted:,} has it"
    return said + (f"; {run.empty:,} of the texts are empty" if run.empty else "")


@dataclass(frozen=True)
class GeneralSection:
    says: str
    lines: tuple[tuple[str, str, str, str, Markup, Markup], ...]
    """Measure, before, after, difference, and a bar of each."""


def general_section(run: WrittenFolder) -> GeneralSection | None:
    """None where no general texts were given."""
    found = run.manifest.general
    if found is None:
        return None
    pairs = (
        ("Loss (nats a token)", found.loss_before, found.loss_after),
        ("Bits per byte", found.bits_per_byte_before, found.bits_per_byte_after),
    )
    apart = found.loss_after - found.loss_before
    moved = f"{'rose' if apart > 0 else 'fell'} by {number(abs(apart))} nats a token"
    return GeneralSection(
        says=f"On {count(found.rows, 'text')} ({count(found.tokens, 'token')}) of {found.source}, "
        f"which the rows are not about, the loss {moved}. That has no interval: other texts may "
        "say otherwise, the more so the fewer these are.",
        lines=tuple(
            (
                name,
                number(before),
                number(after),
                signed(after - before),
                bar(before, top=max(before, after) or 1.0, css="plain"),
                bar(after, top=max(before, after) or 1.0),
            )
            for name, before, after in pairs
        ),
    )
