"""Which regions an image gets, and which one is primary."""

from __future__ import annotations

from prodseek.vision.regions import Detection, Region, build_regions

SURE = Detection("chair", 0.9, (10.0, 10.0, 60.0, 60.0))  # dominance .9 x .25
LARGE = Detection("sofa", 0.6, (0.0, 0.0, 80.0, 80.0))  # .6 x .64
SMALL = Detection("cup", 0.95, (0.0, 0.0, 12.0, 12.0))
FOREGROUND = (20.0, 20.0, 90.0, 90.0)


def primary(regions: tuple[Region, ...]) -> Region:
    (found,) = [region for region in regions if region.is_primary]
    return found


def build(detections: list[Detection], foreground: tuple[float, float, float, float] | None) -> tuple[Region, ...]:
    return build_regions(100, 100, detections, foreground, min_box_px=8)


def test_an_image_without_findings_is_its_frame() -> None:
    (frame,) = build([], None)

    assert (frame.kind, frame.box, frame.area_fraction, frame.is_primary) == (
        "frame",
        (0, 0, 100, 100),
        1.0,
        True,
    )
    assert (frame.class_name, frame.score) == (None, None)


def test_order_and_values() -> None:
    regions = build([SURE, LARGE], FOREGROUND)

    assert [region.kind for region in regions] == ["detection", "detection", "foreground", "frame"]
    assert (regions[0].class_name, regions[0].score, regions[0].area_fraction) == ("chair", 0.9, 0.25)


def test_primary_is_the_foreground_then_the_dominant_detection_then_the_frame() -> None:
    assert primary(build([SURE, LARGE], FOREGROUND)).kind == "foreground"
    assert primary(build([SURE, LARGE], None)).class_name == "sofa"
    assert primary(build([SURE, SMALL], None)).class_name == "chair"
    assert primary(build([SMALL], None)).kind == "frame"


def test_the_first_of_equally_dominant_detections() -> None:
    twin = Detection("stool", SURE.score, (40.0, 40.0, 90.0, 90.0))

    assert primary(build([SURE, twin], None)).class_name == "chair"
    assert primary(build([twin, SURE], None)).class_name == "stool"


def test_detections_with_a_short_side_are_left_out() -> None:
    thin = Detection("tie", 0.99, (10.0, 0.0, 17.9, 100.0))

    assert [region.kind for region in build([thin], None)] == ["frame"]


def test_detections_that_are_the_same_inside_the_photo_are_one() -> None:
    again = Detection("chair", 0.7, (10.0, 10.2, 59.9, 60.0))
    other = Detection("stool", 0.6, SURE.box)

    found = [(region.class_name, region.score) for region in build([SURE, again, other], None)]

    assert found == [("chair", 0.9), ("stool", 0.6), (None, None)]
