"""Stage duplicates: candidate pairs, a verdict on each from the pixels, groups of copies.

Candidates look the same, have nearly the same PDQ hash, share codes of local features, or show regions that look alike. Features
and verdicts are kept from night to night: photos are looked at when they are new, and pairs when one of the two is.
"""

from __future__ import annotations

from pyspark.sql import DataFrame

from prodseek.duplicates.grouping import group_duplicates, missing_pairs
from prodseek.duplicates.verdicts import Decision
from prodseek.runs.facts import CandidateSource, DuplicatesFacts
from prodseek.runs.gates import refuse_unread_share
from prodseek.runs.store import Summary
from prodseek.runs.tables import table_schema
from prodseek.spark.checkpoints import checkpointed
from prodseek.spark.duplicates.candidates import Candidates, candidate_pairs
from prodseek.spark.duplicates.compared_photos import ComparedPhotos
from prodseek.spark.duplicates.contradictions import without_contradictions
from prodseek.spark.duplicates.groups import Copies
from prodseek.spark.duplicates.identical import identical_bytes
from prodseek.spark.duplicates.local_features import kept_features
from prodseek.spark.duplicates.pair_verdicts import PAIR, PairJudge, is_copy, is_likely_copy, is_published
from prodseek.spark.duplicates.rivals import beside_rivals
from prodseek.spark.duplicates.scenes import beside_scenes
from prodseek.spark.duplicates.vouchers import beside_a_common_copy, with_vouchers
from prodseek.spark.night import Night

# How often pairs that were no candidates are judged, to complete groups of what was found.
_PASSES = 6
# How often photos that are no copies of their stand-in are compared among themselves: as many variants of a photo are told apart,
# and one more, such as gift cards that differ in the amount.
_ROUNDS = 16
# Of these, how often a photo that is likely a copy of its stand-in, but cannot be proved one: most were compressed too much to be
# proved a copy of anything.
_ROUNDS_IF_LIKELY = 3


def run(night: Night) -> Summary[DuplicatesFacts]:
    """Find, verify and group copies of photos."""
    rule = night.config.duplicates.representative
    photos = ComparedPhotos.of(night)
    kept = kept_features(night, photos)
    # Before what this night did not see is taken for no copy.
    refuse_unread_share(kept.n_unread, photos.n_photos, night.config.gates.max_reject_share)
    candidates = candidate_pairs(night, photos, kept)
    judge = PairJudge(night, photos, kept)
    judged, n_candidates, n_looked_at = _judged(candidates, judge)
    same_bytes = identical_bytes(night)
    settled = _settled(night, judged, photos)
    copies = Copies.of(night, settled, same_bytes)
    asked: set[tuple[str, str]] = set()
    for _ in range(_PASSES):
        missing = missing_pairs(copies.photos, copies.pairs, rule, asked, copies.looks)
        if not missing:
            break
        asked.update(missing)
        more, n_more = judge.judge(copies.image_pairs(night, missing))
        n_looked_at += n_more
        judged = _together(judged, more)
        settled = _settled(night, judged, photos)
        copies = Copies.of(night, settled, same_bytes)
    groups = group_duplicates(copies.photos, copies.pairs, rule)
    columns = table_schema("near_duplicates").column_names
    pairs = settled.select(*columns).unionByName(same_bytes.select(*columns))
    rows = {
        "near_duplicates": night.write_table(pairs, "near_duplicates"),
        "duplicate_groups": night.write_table(copies.group_table(night, groups), "duplicate_groups"),
    }
    n_candidates += len(asked)
    n_decided = {row["decision"]: row["count"] for row in settled.groupBy("decision").count().collect()}
    facts = DuplicatesFacts(
        candidates=n_candidates,
        candidate_sources=candidates.sources,
        pairs_looked_at=n_looked_at,
        photos_looked_at=kept.n_fresh,
        photos_unread=kept.n_unread,
        pairs_judged_copies=n_decided.get(Decision.COPY, 0),
        pairs_to_look_at=n_decided.get(Decision.LOOK, 0),
        pairs_kept_apart=n_decided.get(Decision.VARIANT, 0),
        groups=len({group.group_id for group in groups}),
        features_cache=kept.cache,
        verdicts_cache=judge.cache,
    )
    line = (
        f"{n_candidates} candidate pairs, {n_looked_at} of them new; {rows['near_duplicates']} verified, "
        f"{facts.groups} groups of {len(groups)} photos, {facts.pairs_to_look_at} pairs to look at"
    )
    lines = [line, "found by " + "; ".join(map(_source_words, candidates.sources)), *_why_anew(night, facts)]
    if kept.n_unread:
        lines.append(f"{kept.n_unread} photos could no longer be read: only their hashes and regions were compared")
    return Summary(facts, rows, tuple(lines))


def _judged(candidates: Candidates, judge: PairJudge) -> tuple[DataFrame, int, int]:
    """Verdicts on the candidates, and on those that follow from them; the number of candidates, and how many of them were new."""
    stars = candidates.stars
    judged, n_looked_at = judge.judge(candidates.pairs)
    judged, n_candidates = checkpointed(judged), candidates.pairs.count()
    for number in range(_ROUNDS):
        settled = is_copy() | is_likely_copy() if number >= _ROUNDS_IF_LIKELY else is_copy()
        following = candidates.among_no_copies(judged.where(settled))
        if following is None:
            break
        candidates = following
        more, n_more = judge.judge(following.pairs)
        judged = _together(judged, more)
        n_candidates, n_looked_at = n_candidates + following.pairs.count(), n_looked_at + n_more
    others = candidates.beside_variants(stars, judged)
    if (n_others := others.count()) > 0:
        more, n_more = judge.judge(others)
        judged, n_candidates, n_looked_at = _together(judged, more), n_candidates + n_others, n_looked_at + n_more
    return judged, n_candidates, n_looked_at


def _settled(night: Night, judged: DataFrame, photos: ComparedPhotos) -> DataFrame:
    """The pairs that are published. What nobody is shown may still contradict a copy, or be a rival."""
    settings = night.config.duplicates
    beside = _held(beside_rivals(beside_scenes(judged, photos.rows), settings.merge_confidence))
    doubtful = _held(beside_a_common_copy(beside))
    settled = _held(_without_contradictions(beside, doubtful, photos))
    vouched = _held(with_vouchers(settled, judged, settings.merge_confidence))
    # What is vouched for may contradict a copy too.
    found = _without_contradictions(vouched, doubtful, photos)
    return _held(found.where(is_published(settings.min_confidence)))


def _without_contradictions(pairs: DataFrame, doubtful: DataFrame, photos: ComparedPhotos) -> DataFrame:
    """The pairs; those that contradict themselves contradict no other. doubtful: image_id_a, image_id_b of these."""
    no_copies = _held(pairs.join(doubtful, PAIR, "left_semi").where(~is_copy()))
    telling = _held(pairs.join(no_copies.select(*PAIR), PAIR, "left_anti"))
    return without_contradictions(telling, photos.rows).unionByName(no_copies)


def _together(judged: DataFrame, more: DataFrame) -> DataFrame:
    return checkpointed(judged.unionByName(more).dropDuplicates(PAIR))


def _held(pairs: DataFrame) -> DataFrame:
    """The pairs, computed now: each step reads those before it several times, and every union adds up its partitions."""
    return checkpointed(pairs.repartition(*PAIR))


def _source_words(source: CandidateSource) -> str:
    return f"{source.name}: {source.pairs} pairs, {source.found_alone} of them alone, in {source.seconds:.1f} s"


def _why_anew(night: Night, facts: DuplicatesFacts) -> list[str]:
    """Why photos or pairs of the last night were looked at again, if that is so."""
    last_run = night.last_run
    last_facts = None if last_run is None else last_run.facts_if_done(DuplicatesFacts)
    if last_run is None or last_facts is None:
        return []
    what_changed = {
        facts.features_cache: "local features are made anew because OpenCV, the code or the length that the catalogue's size "
        "asks for",
        facts.verdicts_cache: "pairs are judged anew because OpenCV, the code, the model or duplicates.max_pdq_hamming",
    }
    return [
        f"{what} has changed since run {last_run.run_id}"
        for cache, what in what_changed.items()
        if cache not in last_facts.caches
    ]


if __name__ == "__main__":
    from prodseek.runner.start import main

    main("duplicates")
