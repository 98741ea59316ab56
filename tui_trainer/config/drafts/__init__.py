"""Drafts: experiments that are being composed."""
