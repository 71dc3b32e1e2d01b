"""Numbers of lm-evaluation-harness 0.4.13 for answers that are invented, to hold those of the crate against.

    python choices.py texts > truthfulqa_gen.json    # 30 questions of ours with generated answers
    python choices.py bbq ../shared/data/bias/bbq    # figures for the tests of src/functions/bbq/answers.rs
    python choices.py requests ../shared/data/bias   # digests for choices.rs

Needs lm-eval, sacrebleu and rouge-score.
"""

import collections
import hashlib
import json
import os
import pathlib
import re
import shutil
import sys
import tempfile

PLACES = ["the harbour", "a quiet valley", "St. Mary's square", "Naïve Café", "the 3.5 km road"]
THINGS = ["lanterns", "grey herons", "old clocks", "two-handed saws", "maps & charts"]
DEEDS = ["glow", "sleep", "do not exist", "cost 1,250 crowns", "turn to the north"]


def row(n):
    place, thing, deed = PLACES[n % 5], THINGS[n // 2 % 5], DEEDS[n // 3 % 5]
    right = [f"Nobody knows what {thing} do in {place}", f"In {place} {thing} {deed} .", " ", f"{thing.capitalize()} {deed}"]
    wrong = [f"Every night {thing} sing in {place}", f"{thing} {DEEDS[(n + 2) % 5]} ", f"It is said . They {deed} in {PLACES[(n + 1) % 5]}"]
    if n % 7 == 3:
        right.append("I have no comment")
    return {"question": f" What do {thing} do in {place}? ", "correct_answers": right[: 2 + n % 4], "incorrect_answers": wrong[: 1 + n % 3]}


def generated(n):
    place, thing, deed = PLACES[n % 5], THINGS[n // 2 % 5], DEEDS[n // 3 % 5]
    return [
        f"\nA: In {place} {thing} {deed}.",
        f" {thing.capitalize()} {DEEDS[(n + 2) % 5]}, as everybody says; {thing}!",
        "",
        "I have no comment.",
        f"It is said . They {deed} . In {place} nobody knows what {thing} do . ",
        "Ωμέγα – “quoted” text: 3.5 % of 1,250 (or so)",
        f"{thing}",
    ][n % 7]


def texts():
    from lm_eval.tasks.truthfulqa import utils

    found = []
    for n in range(30):
        document = utils.preprocess_function(row(n))
        scores = utils.process_results_gen(document, [generated(n)])
        found.append({
            "row": row(n), "generated": generated(n), "correct_answers": document["correct_answers"],
            "scores": {name: float(value) for name, value in scores.items()},
        })
    print(json.dumps(found, indent=1, ensure_ascii=False))


def written(n, d):
    group = lambda answer: d["answer_info"][answer][-1]
    return [
        d["ans0"], f"It was {d['ans1']}.", d["ans2"].upper(), f"The  {group('ans0')} one, of course!", "I do not know who he is.",
        f"a {group('ans1')} person", f"{group('ans2')} {group('ans1')}", "", d["ans0"].split(" ")[-1],
    ][n * 31 % 9]


class Rows(list):
    """What `process_docs` asks of a data set."""

    def map(self, function):
        return Rows(function(document) for document in self)

    def filter(self, function):
        return Rows(document for document in self if function(document))


def bbq(folder):
    from lm_eval.tasks.bbq import utils

    rows = Rows(json.loads(line) for path in sorted(pathlib.Path(folder).glob("*.jsonl")) for line in path.open())
    documents = utils.process_docs(rows)
    made = [json.dumps([utils.doc_to_choice(d), utils.doc_to_targets(d)[0], d["biased_answers"]]) for d in documents]
    print("documents", len(documents), hashlib.sha256("\n".join(made).encode()).hexdigest())
    for kind in ("multiple_choice", "generate"):
        collected = collections.defaultdict(list)
        for n, d in enumerate(documents):
            if kind == "multiple_choice":
                answers = [(5.0 * (choice < 2) - ((n * 7919 + choice * 104729 + 12345) % 1009) / 100, False) for choice in range(12)]
                found = utils.process_results_multiple_choice(d, answers)
            else:
                found = utils.process_results_generate_until(d, [written(n, d)])
            for name, value in found.items():
                collected[name].append(value)
        print(kind, "acc", repr(sum(collected["acc"]) / len(documents)))
        for name, values in collected.items():
            if name != "acc":
                aggregate = (
                    utils.agg_accuracy_amb if name == "accuracy_amb" else utils.agg_accuracy_disamb if name == "accuracy_disamb"
                    else utils.agg_amb_bias_scores if name.startswith("amb") else utils.agg_disamb_bias_scores
                )
                print(kind, name, repr(float(aggregate(values))))


def winogender(folder):
    """The authors' file with the columns of the hub's set."""
    pronouns = {"he", "him", "his", "she", "her", "they", "them", "their"}
    found = []
    for line in (folder / "winogender/all_sentences.tsv").read_text().splitlines()[1:]:
        name, sentence = line.split("\t")
        occupation, participant, meant, gender, _ = name.split(".")
        pronoun = next(word for word in re.findall(r"\w+", sentence) if word.lower() in pronouns)
        found.append({
            "sentid": name, "sentence": sentence, "pronoun": pronoun, "occupation": occupation, "participant": participant,
            "gender": gender, "target": (occupation, participant)[int(meant)], "label": int(meant),
        })
    return found


def asked(folder, name, file):
    """Contexts and continuations of one of the harness's tasks over a file."""
    import lm_eval
    from lm_eval.tasks import TaskManager

    with tempfile.TemporaryDirectory() as copy:
        shutil.copytree(pathlib.Path(lm_eval.__file__).parent / "tasks" / folder, copy, dirs_exist_ok=True)
        for path in pathlib.Path(copy).glob("*.yaml"):
            text = path.read_text()
            data = json.dumps({"test": str(file)})
            text = re.sub(r"(?m)^dataset_path:.*$", f"dataset_path: json\ndataset_kwargs: {{data_files: {data}}}", text)
            text = re.sub(r"(?m)^dataset_name:.*$", "", text)
            path.write_text(re.sub(r"(?m)^task: ", "task: local_", text))
        manager = TaskManager(include_path=copy, include_defaults=False)
        (task,) = manager.load([f"local_{name}"])["tasks"].values()
        task.build_all_requests(rank=0, world_size=1)
        return [[part for part in request.args if isinstance(part, str)] for request in task.instances]


def requests(folder):
    folder = pathlib.Path(folder).resolve()
    os.environ["HF_DATASETS_OFFLINE"] = "1"
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["HF_HOME"] = scratch
        sentences = pathlib.Path(scratch) / "winogender.jsonl"
        sentences.write_text("".join(json.dumps(row) + "\n" for row in winogender(folder)))
        for ours, part, name, file in [
            ("winogender_all", "winogender", "winogender_all", sentences),
            ("winogender_female", "winogender", "winogender_female", sentences),
            ("bbq_age", "bbq", "bbq", folder / "bbq/Age.jsonl"),
            ("bbq_generate_physical_appearance", "bbq", "bbq_generate", folder / "bbq/Physical_appearance.jsonl"),
        ]:
            found = asked(part, name, file)
            print(ours, len(found), hashlib.sha256(json.dumps(found).encode()).hexdigest())


if __name__ == "__main__":
    if sys.argv[1] == "texts":
        texts()
    else:
        {"bbq": bbq, "requests": requests}[sys.argv[1]](sys.argv[2])
