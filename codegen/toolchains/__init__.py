"""Runs what turns a project into something that computes: the emulator's compiler, Vitis."""
