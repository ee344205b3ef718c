"""Jobs that fare badly on a cluster: one hangs until it is cancelled, one until its time is over,
and one ends while nobody can ask for it."""


rule all:
    input:
        expand("results/{job}", job=("cancelled", "endless", "unasked")),


def attempts(wildcards, attempt):
    return attempt


rule cancelled:
    output:
        "results/cancelled",
    log:
        "results/logs/cancelled.log",
    resources:
        mem_mb=500,
        runtime=5,
        attempt=attempts,
    shell:
        "touch {output}.started; [ {resources.attempt} -gt 1 ] || sleep 600; touch {output}"


rule endless:
    output:
        "results/endless",
    log:
        "results/logs/endless.log",
    resources:
        mem_mb=500,
        runtime=attempts,
        attempt=attempts,
    shell:
        "[ {resources.attempt} -gt 1 ] || sleep 600; touch {output}"


# After the cancelled one, so that nothing has to be submitted while the controller is down.
rule unasked:
    input:
        "results/cancelled",
    output:
        "results/unasked",
    log:
        "results/logs/unasked.log",
    resources:
        mem_mb=500,
        runtime=5,
    shell:
        "touch {output}.started; until [ -e results/outage ]; do sleep 1; done; touch {output}"
