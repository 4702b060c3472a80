"""Stage report: static pages of what the night found, their data in shards, pictures made once."""

from __future__ import annotations

from prodseek.report.pages import render_pages
from prodseek.runs.facts import ReportFacts
from prodseek.runs.store import Summary
from prodseek.spark.night import Night
from prodseek.spark.report.about import describe_report
from prodseek.spark.report.copies import choose_copies, write_copies
from prodseek.spark.report.galleries import grouped_facets, shown_groups, write_galleries
from prodseek.spark.report.map import write_map
from prodseek.spark.report.neighbours import write_neighbours
from prodseek.spark.report.objects import choose_objects, number_objects, write_objects
from prodseek.spark.report.overview import PAGE, write_overview
from prodseek.spark.report.pictures import make_pictures, write_pictures
from prodseek.spark.report.shards import write_data
from prodseek.spark.report.thumbnails import pictures_cache
from prodseek.storage import files


def run(night: Night) -> Summary[ReportFacts]:
    """Choose what is shown, number it, make its pictures, and write the data files and pages."""
    files.delete_dir(night.run.path("report"))
    copies = choose_copies(night)
    chosen = choose_objects(night, copies).cache()
    summary = shown_groups(night, chosen)
    objects = number_objects(night, chosen, summary)
    pictures = make_pictures(night, objects)
    write_objects(night, objects)
    write_pictures(night, objects, pictures)
    write_neighbours(night, objects)
    write_copies(night, copies, objects.rows)
    write_galleries(night, summary, objects)
    write_map(night, summary, objects, pictures)
    about = describe_report(night, objects.n, copies, grouped_facets(summary))
    write_data(night.run, "about", about)
    for name, content in render_pages(about).items():
        files.write_bytes(night.run.path("report", name), content)
    n_bytes = write_overview(night, about, objects.rows)
    facts = ReportFacts(shown_images=objects.n, first_page_bytes=n_bytes, thumbnails_cache=pictures_cache(night))
    return Summary(facts, lines=(f"{night.run.path(PAGE)}, {objects.n} photos shown",))


if __name__ == "__main__":
    from prodseek.runner.start import main

    main("report")
