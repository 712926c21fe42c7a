"""Machines that files are run on: this one, boards by ssh, phones by adb."""
