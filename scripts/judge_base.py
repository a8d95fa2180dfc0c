"""Prints the figures of a miniature base as Markdown: `python scripts/judge_base.py [FOLDER] [--scenes 400]`.

Uses the pools `tuning` (figures) and `unlabelled` (pairs on clean against noised pictures), never `evaluation`.
"""

from __future__ import annotations

import argparse

import torch

from sena.mini import mini_folder, world
from sena.mini.bench import MiniBench
from sena.mini.figures import summarise
from sena.mini.judge import Runner, answer, answer_table, describe, every_question, pair_table, records
from sena.mini.probe import companion_probe

STEPS = (100, 300, 600, 800)


def print_figures(runner: Runner, count: int) -> None:
    print("| metric | value | 95 % interval | n |\n|---|---|---|---|")
    for name, got in summarise(records(runner, MiniBench(), "tuning", count)).items():
        print(f"| {name} | {got['value']:.3f} | {got['low']:.3f} to {got['high']:.3f} | {got['n']:.0f} |")
    for blind in ("none", "grey"):
        got = summarise(records(runner, MiniBench(blind=blind), "tuning", count))
        print(f"\nblind ({blind}): " + ", ".join(f"{name} {value['value']:.3f}" for name, value in got.items()))


def print_pairs(runner: Runner, count: int) -> None:
    scenes = [world.make_scene("unlabelled", index) for index in range(count)]
    asked = every_question(scenes[: count // 4])
    clean, clean_answers = describe(runner, scenes), answer(runner, asked)
    tables, answers = {-1: pair_table(scenes, clean, clean)}, {}
    for step in STEPS:
        noised = Runner(runner.model, runner.processor, step)
        tables[step] = pair_table(scenes, clean, describe(noised, scenes))
        answers[step] = answer_table(asked, clean_answers, answer(noised, asked))
    print("\n| descriptions | " + " | ".join("clean" if step < 0 else f"step {step}" for step in tables) + " |")
    print("|---" * (len(tables) + 1) + "|")
    for name in tables[-1]:
        print(f"| {name} | " + " | ".join(f"{table[name]:.3f}" for table in tables.values()) + " |")
    for step, table in answers.items():
        print(f"\n| answers, step {step} | clean right | noised right | differ | clean right where they differ |")
        print("|---|---|---|---|---|")
        for sort, row in table.items():
            print(f"| {sort} | " + " | ".join(f"{value:.3f}" for value in row) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", default=str(mini_folder()))
    parser.add_argument("--scenes", type=int, default=400)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    runner = Runner.load(options.folder)
    print_pairs(runner, options.scenes)
    print_figures(runner, options.scenes)
    probes = {step: companion_probe(runner.model, step) for step in (-1, *STEPS)}
    print("\nlinear probe of the companion: " + ", ".join(f"{step}: {value:.3f}" for step, value in probes.items()))


if __name__ == "__main__":
    main()
