"""DICOM's upper layer, messages and file meta information, without a socket, a clock or a thread.

Public names are imported from their modules: association, events, pdus, negotiation, commands,
part10, uids, limits, reasons, errors, ae_title.
"""
