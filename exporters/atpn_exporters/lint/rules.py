"""The linter's rules: a list one can read. docs/lint.md is written from it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from atpn_exporters.lint.evidence import SiteEvidence
from atpn_exporters.lint.finding import Case, Rule, Spot
from atpn_exporters.tracing import MOVING, WEIGHTED

#: A channel whose range is below this share of its tensor's says the same for every crop.
DEAD_SHARE = 1e-6
#: Activations that end a layer: there a channel is judged, not before. A gate (hard-sigmoid) is
#: none of them: one that is always open is not dead.
ACTIVATIONS = ("relu", "hard_swish")
#: float16's largest number, its least normal one and its least one at all.
HALF_MAX, HALF_NORMAL, HALF_LEAST = 65504.0, 2.0**-14, 2.0**-24
#: Crops that were not seen reach further: a quarter of the largest number is near it.
HALF_NEAR = HALF_MAX / 4
#: Outputs that move less than this from crop to crop say nothing, in `evidence.UNITS`.
LEAST_SPREAD = {"landmarks": 0.1, "pose": 0.2, "confidence": 1e-3}
#: Channels that move by fewer int8 steps than this are rounded away.
LEAST_STEPS = 2.0
#: Below this share of rounded-away channels nothing is said: a few quiet channels are normal.
WIPED_SHARE = 0.1
#: Two addends whose ranges differ by more than this.
ADDEND_RATIO = 8.0


def dead_channels(case: Case) -> Iterator[Spot]:
    """Layers with channels that never change, behind their activation where they have one."""
    for found in case.evidence.sites.values():
        site = found.site
        if site.kind not in (*WEIGHTED, *ACTIVATIONS) or len(found.channel_low) < 2:
            continue
        if any(reader.kind in ACTIVATIONS for reader in found.readers):
            continue
        widths = found.channel_high - found.channel_low
        whole = float(found.channel_high.max() - found.channel_low.min())
        dead = int((widths <= DEAD_SHARE * whole).sum())
        if dead:
            note = f"{dead} of {len(widths)} channels are the same for all crops"
            yield Spot(site.module, dead, "channels", note)


def clipped_biases(case: Case) -> Iterator[Spot]:
    """Layers whose bias is no 32-bit integer in steps of input scale x weight scale."""
    if not case.arithmetic.int8:
        return
    for found in case.evidence.sites.values():
        if found.weight is None or found.bias is None:
            continue
        source = case.evidence.sites[found.site.inputs[0]]
        scales = source.span / 255 * np.abs(found.weight).max(1).astype(np.float64) / 127
        wanted = np.abs(found.bias) > 0
        with np.errstate(divide="ignore", invalid="ignore"):
            steps = np.where(wanted, np.abs(found.bias) / scales, 0.0)
        clipped = int((steps >= 2.0**31).sum())
        if clipped:
            finite = steps[np.isfinite(steps)].max(initial=0.0)
            largest = f"up to 2^{np.log2(finite):.0f} steps" if finite >= 2.0**31 else ""
            zero = "some on weights of zero" if np.isinf(steps).any() else ""
            how = ", ".join(part for part in (largest, zero) if part)
            note = f"{clipped} of {len(steps)} channels have a bias beyond 2^31 steps ({how})"
            yield Spot(found.site.module, clipped, "channels", note)


def without_kernel(case: Case) -> Iterator[Spot]:
    """Operators that the target's runtime does not take in int8."""
    for found in case.evidence.sites.values():
        if found.site.kind in case.arithmetic.no_int8_kernel:
            values = int(np.prod(found.shape))
            note = f"{found.site.kind} over {values:,} values {case.arithmetic.instead}".rstrip()
            yield Spot(found.site.module, values, "values", note)


def hardware_faults(case: Case) -> Iterator[Spot]:
    """Rows of operators that the target's hardware is known to compute wrongly."""
    sites = case.evidence.sites
    for fault in case.arithmetic.faults:
        for found in sites.values():
            site = found.site
            made = [sites[name] for name in site.inputs if name in sites]
            if site.kind == fault.chain[-1] and any(
                source.site.kind == fault.chain[0] and len(source.shape) + 1 == fault.rank
                for source in made
            ):
                note = f"{' -> '.join(fault.chain)} on a tensor of rank {fault.rank}: {fault.fact}"
                yield Spot(site.module, fault.rank, "rank", note)


def near_half_limit(case: Case) -> Iterator[Spot]:
    """Magnitudes that float16 may not hold for a crop that reaches a little further."""
    if not case.arithmetic.half:
        return
    for found in case.evidence.sites.values():
        largest = max(found.largest, *(_largest(array) for array in _stored(found)), 0.0)
        if not largest < HALF_NEAR:
            note = f"reaches {largest:,.4g}; float16 ends at 65,504"
            yield Spot(found.site.module, largest, "magnitude", note)


def below_half(case: Case) -> Iterator[Spot]:
    """Values that float16 rounds to zero or holds with a few bits only."""
    if not case.arithmetic.half:
        return
    for found in case.evidence.sites.values():
        if 0 < found.largest < HALF_NORMAL:
            note = f"never exceeds {found.largest:.2g}; float16 is exact from 6.1e-5 on"
            yield Spot(found.site.module, 1.0, "share", note)
        for array in _stored(found):
            rows = np.abs(array.reshape(len(array), -1)).max(1)
            lost = int(((rows > 0) & (rows < HALF_LEAST)).sum())
            if lost:
                note = f"{lost} of {len(rows)} rows of a constant become zero in float16"
                yield Spot(found.site.module, lost / len(rows), "share", note)


def _stored(found: SiteEvidence) -> list[np.ndarray]:
    """The constants of an operator."""
    kept = [array for array in (found.weight, found.bias) if array is not None]
    return [*kept, *found.constants]


def _largest(array: np.ndarray) -> float:
    return float(np.abs(array).max()) if array.size else 0.0


def transposes(case: Case) -> Iterator[Spot]:
    """TRANSPOSE operators beyond those that the format needs."""
    if case.transposes is not None and case.transposes > case.arithmetic.transposes:
        extra = case.transposes - case.arithmetic.transposes
        note = f"{case.transposes} in the converted graph, {case.arithmetic.transposes} are needed"
        yield Spot("", extra, "operators", note)


def still_outputs(case: Case) -> Iterator[Spot]:
    """Outputs that are nearly the same for every crop."""
    for name, (spread, unit) in case.evidence.spread.items():
        if not spread >= LEAST_SPREAD[name]:
            note = f"{name} moves by {spread:.2g} {unit} from crop to crop"
            yield Spot(name, LEAST_SPREAD[name] - spread, unit, note)


def wiped_channels(case: Case) -> Iterator[Spot]:
    """Tensors whose widest channels set a step that rounds many others away."""
    if not case.arithmetic.int8:
        return
    for found in case.evidence.sites.values():
        if found.site.kind in MOVING or found.site.kind == "image" or len(found.shape) != 3:
            continue
        widths = found.channel_high - found.channel_low
        live = widths > DEAD_SHARE * max(widths.max(), 1e-30)
        if any(reader.kind == "relu" for reader in found.readers) or not found.span:
            continue
        steps = widths / (found.span / 255)
        wiped = int((live & (steps < LEAST_STEPS)).sum())
        if wiped > WIPED_SHARE * live.sum():
            note = (
                f"{wiped} of {int(live.sum())} live channels move by less than "
                f"{LEAST_STEPS:.0f} steps of {found.span / 255:.2g}"
            )
            yield Spot(found.site.module, wiped / float(live.sum()), "share", note)


def unequal_addends(case: Case) -> Iterator[Spot]:
    """Sums and concatenations of tensors of very different range."""
    if not case.arithmetic.int8:
        return
    sites = case.evidence.sites
    for found in sites.values():
        if found.site.kind not in ("add", "cat"):
            continue
        spans = [sites[name].span for name in found.site.inputs if name in sites]
        spans += [float(array.max() - array.min()) for array in found.constants if array.ndim > 1]
        spans = [span for span in spans if span > 0]
        if len(spans) > 1 and max(spans) > ADDEND_RATIO * min(spans):
            ratio = max(spans) / min(spans)
            note = f"{found.site.kind} of ranges {min(spans):.3g} and {max(spans):.3g}"
            yield Spot(found.site.module, ratio, "ratio", note)


RULES = (
    Rule(
        "Q001",
        "dead channels",
        "A channel that is the same for every crop costs time and tells nothing, and the scale "
        "of its weights is arbitrary, which is where clipped biases come from.",
        "Set the scale and shift of its batch norm to zero, or train longer with weight decay on "
        "the batch norms; a smaller width gives the same accuracy.",
        dead_channels,
    ),
    Rule(
        "Q002",
        "bias beyond int32",
        "A bias is stored in steps of input scale x weight scale as a 32-bit integer; where the "
        "weights of a channel are tiny it is clipped, and the channel is wrong by any amount.",
        "Set the weights and bias of such a channel to zero if it is dead, or give the layer more "
        "weight decay; leave the layer in float with a recipe meanwhile.",
        clipped_biases,
    ),
    Rule(
        "Q003",
        "no int8 kernel",
        "The runtime has no int8 kernel for this operator: it is computed in float between two "
        "casts, or it breaks the graph into partitions, and int8 can become slower than float.",
        "Take the network without it (atpn-lite has neither hard-swish nor squeeze-excite), or "
        "the flavour that leaves it in float (int8, not full-int8).",
        without_kernel,
    ),
    Rule(
        "Q004",
        "hardware fault",
        "Hardware that runs this format is reported to compute this row of operators wrongly; the "
        "finding says which, by how much and who reports it. Apple's Neural Engine does so with a "
        "linear layer on a 2-D tensor before hard-swish.",
        "Give the linear layer a tensor of rank 4 (a 1x1 convolution), or keep these operators "
        "off that hardware.",
        hardware_faults,
    ),
    Rule(
        "Q005",
        "near float16's limit",
        "A magnitude above 16,376 is within a factor of four of 65,504, where float16 overflows to "
        "infinity; a crop that was not seen may get there.",
        "Scale the layer's weights down and the next layer's up, or compute in normalised units "
        "(fractions of the crop, not pixels).",
        near_half_limit,
    ),
    Rule(
        "Q006",
        "below float16's numbers",
        "Weights below 6e-8 become zero in float16, and tensors that never exceed 6.1e-5 keep only "
        "a few of its bits.",
        "Scale the layer's weights up and the next layer's down, or fold the scale elsewhere.",
        below_half,
    ),
    Rule(
        "Q007",
        "transposes",
        "A TRANSPOSE copies a tensor to change its layout: time that no arithmetic pays for.",
        "Look for flatten, mean without keepdim, permute and pixel-shuffle, and write them as "
        "reshape of a 1x1 map, mean with keepdim, or a strided deconvolution.",
        transposes,
    ),
    Rule(
        "Q008",
        "still output",
        "An output that is nearly the same for every crop answers nothing, and no comparison with "
        "the reference would show it.",
        "Check the weights (an untrained branch?) and that the crops differ and show faces.",
        still_outputs,
    ),
    Rule(
        "Q009",
        "channels rounded away",
        "An int8 tensor has one scale: where a few channels reach far, the others move by less "
        "than two of its steps and are lost.",
        "Balance the channels (scale the layer's outputs and the next layer's inputs, channel by "
        "channel), or leave the layer in float with a recipe.",
        wiped_channels,
    ),
    Rule(
        "Q010",
        "unequal addends",
        "A sum or concatenation takes the range of its wider tensor: one eight times narrower has "
        "three bits less.",
        "Normalise both sides (a batch norm before the sum), or leave the sum and what feeds it in "
        "float with a recipe.",
        unequal_addends,
    ),
)
