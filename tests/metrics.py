"""Reads scrapes of `mine --metrics` as Prometheus' own client does, the earliest first.

    metrics.py FILE...

Fails where one does not parse, where a counter of a later scrape is smaller, or where a name or a unit is not
as the conventions have it. Prints the samples of the last one as JSON: {"name{label=value,...}": number}.
"""

import json
import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families


def samples(path):
    found, counters = {}, set()
    with open(path) as file:
        for family in text_string_to_metric_families(file.read()):
            assert family.name.startswith(("magiclens_", "process_")), family.name
            assert family.documentation, family.name
            assert not family.unit or family.name.endswith(family.unit), family.name
            for sample in family.samples:
                labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
                key = f"{sample.name}{{{labels}}}"
                assert key not in found, key
                found[key] = sample.value
                if family.type == "counter":
                    assert sample.name.endswith("_total"), sample.name
                    counters.add(key)
    return found, counters


before = {}
for path in sys.argv[1:]:
    last, counters = samples(path)
    for key in counters:
        assert last[key] >= before.get(key, 0), f"{path}: {key} fell from {before[key]} to {last[key]}"
    before = last
print(json.dumps(before))
