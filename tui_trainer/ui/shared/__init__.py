"""Widgets, dialogs and services that several screens use."""
