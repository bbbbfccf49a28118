"""The Jinja2 templates, installed as ``codegen.templates``."""
