"""Write every number, table and section list of the paper as LaTeX."""

from job import job

with job(snakemake):
    import json
    from pathlib import Path

    from strata import paper
    from strata.data.words import read_concepts
    from strata.figures.models import describe_models
    from strata.paper.claims import read_verdicts
    from strata.tables import read_measures
    from strata.whole import whole

    params, values = snakemake.params, paper.method_values()
    tables, sections, appendices = [], [], []
    infos = [json.loads(Path(path).read_text()) for path in snakemake.input.datasets]
    datasets = {info["name"]: info for info in infos}
    for name, study in params.studies.items():
        files = {}
        for path in map(Path, snakemake.input.measures):
            if path.parts[2] == name:
                files.setdefault(path.parts[3], []).append(path)
        measures = {measure: read_measures(paths) for measure, paths in files.items()}
        styles = describe_models(study["models"], params.models, study.get("comparisons"))
        found, table = paper.numbers_of(name, study, measures, styles)
        values |= found
        if study.get("concepts") == "words":
            entry = params.concept_sets[study["concept_set"]]
            path = entry.get("path", f"results/concepts/{study['concept_set']}.txt")
            values[paper.macro_name(name, "concepts")] = len(read_concepts(path))
        tables.append(f"\\newcommand{{\\{paper.macro_name('table', name)}}}{{{table}}}\n")
        seen = params.models.get(next(iter(study["models"])), {}).get("modality", "image")
        told = paper.study_text(name, study, styles, seen)
        note = paper.skipped_text(study, datasets)
        sections.append(paper.study_section(name, study, params.written, told, note))
        appendices.append(paper.appendix(name, study, styles))
    cards = [json.loads(Path(path).read_text()) for path in snakemake.input.cards]
    values |= paper.card_values(cards)
    values |= paper.data_values(infos)
    values["StrataSeed"] = params.seed
    values |= paper.version_values(params.versions)
    verdicts = read_verdicts(snakemake.input.verdicts)
    values |= paper.claim_values(verdicts, params.papers_claims)
    tables.append(f"\\newcommand{{\\TableClaims}}{{{paper.claims_table(verdicts)}}}\n")
    own = [study["title"] for name, study in params.studies.items() if name not in params.written]
    if own:
        values["StrataOwnStudies"] = paper.Verbatim(paper.listed(own))
    if cards:
        tables.append(f"\\newcommand{{\\TableCards}}{{{paper.cards_table(cards)}}}\n")
    single = "".join(appendices).strip()
    written = {
        "numbers": paper.macros(values),
        "tables": "".join(tables),
        "studies": "".join(sections),
        "appendix": paper.single_models(single) if single else "",
    }
    for output, text in written.items():
        with whole(snakemake.output[output]) as path:
            path.write_text(text)
