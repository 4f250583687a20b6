"""The report of a study, as a document: numbers, figures, findings and their spread."""

from __future__ import annotations

from launch.reports import findings, study_figures, study_state, study_tables
from launch.reports.document import Block, Document, Items, Section, Text
from launch.reports.findings import Finding
from launch.reports.samples import Numbers
from launch.reports.verdicts import UNMEASURED
from launch.studies.results import StudyResults

_INTERVALS = (
    "The spread of a row is the standard deviation over its seeds, divided by n - 1. With "
    "one seed there is no spread, and no verdict is drawn.",
    "Two rows are compared seed by seed: the same seed has the same random trunk to begin "
    "with and the same order of data in an evaluation. The 95% interval is that of a "
    "paired t test with n - 1 degrees of freedom, which takes the differences to be "
    "normally distributed. With so few seeds this cannot be checked.",
    "Few seeds make wide intervals: the half width is 12.7 standard errors for n = 2, 4.3 "
    "for n = 3 and 2.8 for n = 5. An interval that contains zero does not show that two "
    "rows are equal.",
    "Seeds vary the weights at the start and the order of data, not the data sets. What "
    "other data would change is not in the spread.",
    "The intervals in tables are not corrected for the number of comparisons. If no row "
    "differed from any other, about 1 of 40 comparisons would still be called clearly "
    "better, and 1 of 40 clearly worse. So a verdict of contradicted, which a single "
    "comparison can cause, rests on intervals that are corrected for all comparisons of "
    "the finding (Bonferroni).",
)


def document(results: StudyResults) -> Document:
    """Returns the report of a study, as far as the study has come."""
    numbers = Numbers(results)
    judged = findings.all_findings(numbers)
    study = results.study
    return Document(
        title=f"Study {study.name}",
        summary=_summary(results, judged),
        sections=(
            Section("Findings of section 7", _findings(numbers, judged)),
            Section("All rows", study_tables.overview(numbers)),
            Section("Curves over cost", study_figures.curves(numbers)),
            Section("Tables of the paper", study_tables.of_the_paper(numbers)),
            Section("Combination of units", study_figures.alphas(numbers)),
            Section("How sure the numbers are", (Items(_INTERVALS),)),
            Section("Setting and data", study_state.setting(numbers)),
            Section("Cells and commands", study_state.cells_section(results)),
        ),
    )


def _summary(results: StudyResults, judged: tuple[Finding, ...]) -> str:
    verdicts = "; ".join(f"{each.number} {each.verdict.word}" for each in judged)
    return (
        f"{results.study.description} {study_state.progress(results)} "
        f"The paper's findings here: {verdicts}."
    )


def _findings(numbers: Numbers, judged: tuple[Finding, ...]) -> tuple[Block, ...]:
    compared = [
        each
        for finding in judged
        for row in finding.comparisons
        for each in row
        if each.count
    ]
    blocks: list[Block] = [
        Text(
            "Each verdict follows from the numbers of this study by the rule that stands "
            "with it. Gains are positive where the first row is better."
        ),
        findings.summary_table(judged),
    ]
    if compared and not any(each.interval for each in compared):
        blocks.append(
            Text(
                "No two rows share two seeds yet, so nothing is decided by this study."
            )
        )
    for finding in judged:
        blocks.extend(finding.blocks())
    if all(finding.verdict.word == UNMEASURED for finding in judged):
        blocks.insert(1, Text("No finding has been measured by this study."))
    return tuple(blocks)
