"""Typeset the paper with latexmk; the same sources give the same bytes."""

from job import job

with job(snakemake):
    import os
    import shutil
    import subprocess
    from pathlib import Path

    import pandas as pd

    from strata import StrataError
    from strata.paper.facts import figure_facts
    from strata.paper.latex import latex_error, macros
    from strata.whole import whole

    build = Path(snakemake.params.build)
    shutil.rmtree(build, ignore_errors=True)
    shutil.copytree("paper", build)
    for path in snakemake.input.generated:
        shutil.copy(path, build)
    tables = {Path(path).stem: pd.read_csv(path) for path in snakemake.input.tables}
    facts = figure_facts(tables, snakemake.params.counted)
    if snakemake.params.commit:
        facts += macros({"StrataCommit": snakemake.params.commit})
    (build / "facts.tex").write_text(facts)
    (build / "figures").symlink_to(Path("results/figures").resolve())
    command = ["latexmk", "-pdf", "-interaction=nonstopmode", "-halt-on-error"]
    command += ["-file-line-error", "main.tex"]
    if not shutil.which("latexmk"):
        command = ["tectonic", "--keep-logs", "--print", "main.tex"]
    dates = {"SOURCE_DATE_EPOCH": "1767225600", "FORCE_SOURCE_DATE": "1", "TZ": "UTC"}
    whole_lines = {"max_print_line": "1000"}
    try:
        done = subprocess.run(
            command,
            cwd=build,
            env=os.environ | dates | whole_lines,
            capture_output=True,
            text=True,
            errors="replace",
        )
    except FileNotFoundError:
        raise StrataError("there is no latexmk; run tools/install-tex") from None
    print(done.stdout[-20000:], done.stderr)
    if done.returncode:
        raise latex_error(done.stdout)
    log = (build / "main.log").read_text(errors="replace")
    if "There were undefined references" in log or "undefined citations" in log:
        raise StrataError("paper/main.tex: undefined references or citations; see the log")
    with whole(snakemake.output.pdf) as path:
        shutil.copyfile(build / "main.pdf", path)
