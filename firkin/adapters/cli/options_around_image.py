"""Command lines whose options may stand before the image, or between the image and the command to run in it."""

from __future__ import annotations

from collections.abc import Sequence

import click


class OptionsAroundImage(click.Command):
    """Takes options before IMAGE and right after it, as in `run IMAGE -e K=V -- CMD`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        before = self._leading_options(args)
        rest = args[before:]
        if rest[:1] == ["--"]:
            return super().parse_args(ctx, args)
        image, following = rest[:1], rest[1:]
        after = self._leading_options(following)
        command = following[after:]
        options = [*args[:before], *following[:after]]
        return super().parse_args(ctx, [*options, "--", *image, *(command[1:] if command[:1] == ["--"] else command)])

    def _leading_options(self, args: Sequence[str]) -> int:
        """How many of the first words are options and their values."""
        position = 0
        while position < len(args) and args[position].startswith("-") and args[position] not in ("-", "--"):
            position += 2 if self._takes_next_word(args[position]) else 1
        return min(position, len(args))

    def _takes_next_word(self, word: str) -> bool:
        names = [word] if word.startswith("--") else [f"-{letter}" for letter in word[1:]]
        for index, name in enumerate(names):
            option = next((p for p in self.params if isinstance(p, click.Option) and name in p.opts), None)
            if option is not None and not option.is_flag:
                return index == len(names) - 1
        return False
