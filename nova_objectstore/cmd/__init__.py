"""Entry points: parse options, build, launch. No logic."""
