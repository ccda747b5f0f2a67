"""What each word of the language means, in a sentence: shown by editors (`rules schema`).

The whole of it is docs/rules.md; a test holds these to the words that there are.
"""

from __future__ import annotations

ROUTE_WORDS = {
    "name": "What logs, metrics and traces call the route; used once in all files.",
    "when": "The conditions; all must hold. Left out: every object.",
    "edits": "What is changed for these destinations, from first to last.",
    "record": "Note the previous values in the object (Original Attributes Sequence).",
    "send_to": "A destination of the site, a group that chooses one, or a list of them.",
    "priority": "What goes out first: stat, high, routine, low.",
    "between": "Hours at which it may be sent; it waits until then.",
    "wait_for": "Decide when the whole series or study has come.",
    "deidentify": "The profile by which it is de-identified.",
    "stop": "Routes below are not looked at for an object that this one matches.",
    "disabled": "The route stays in the file and out of effect.",
}

PROFILE_WORDS = {
    "key": "The key of the site that pseudonyms, UIDs and shifts of dates are made with.",
    "options": "What is retained or cleaned beyond the Basic Profile of PS3.15.",
    "keep": "Attributes that stay as they are, whatever the table says.",
    "edits": "Done first, on the original values; what they write, the table leaves alone.",
    "within": "Dates are moved back by 1 to this many days, the same for all of a patient.",
    "regions": "Where devices burn text into pictures, which is made black; or: shipped.",
    "verify": "Look through what leaves for values of the original: all, sample or off.",
    "dangers": "What is done with what no table can make safe: hold, discard or pass.",
    "detect_text": "Search pictures for text, in every frame, some frames, or not: off.",
    "vault": "Keep who became whom, sealed, in the site's vault.",
}

GROUP_WORDS = {
    "all": "Every item of the list holds.",
    "any": "At least one item of the list holds.",
    "not": "What is inside does not hold.",
}

CONDITION_WORDS = {
    "value": "The value is this one.",
    "one_of": "The value is one of these.",
    "like": "The text fits; * is anything, ? one character; capitals do not count.",
    "matches": "The regular expression (RE2) is found in the text.",
    "contains": "The text is in it; capitals do not count.",
    "starts_with": "It begins with the text; capitals do not count.",
    "ends_with": "It ends with the text; capitals do not count.",
    "at_least": "It is this or more.",
    "at_most": "It is this or less.",
    "above": "It is more than this.",
    "below": "It is less than this.",
    "between": "It is within these two ends; of times, several windows may be given.",
    "older_than": "The date is longer ago than this: 30d, 18y.",
    "newer_than": "The date is not so long ago: 30d, 18y.",
    "zone": "By which clocks days and times are told, such as Europe/Berlin.",
    "in_file": "The value stands in this list, a file beside the rules.",
    "present": "true: the attribute is there, with a value or without; false: it is not.",
    "empty": "The attribute is there, and true: has no value; false: has one.",
}

FACT_WORDS = {
    "sop_class": "What the object is: a UID, a name, or image, sr, pr, rt, encapsulated.",
    "transfer_syntax": "How it is encoded: a UID or a name.",
    "size": "Bytes of the object: 500KB, 10MB.",
    "compressed": "Whether pixel data is compressed.",
    "source.calling_ae_title": "Who sent it.",
    "source.called_ae_title": "Whom it was sent to.",
    "source.address": "The sender's IP address; an address or a network.",
    "source.listener": "The name of the site's listener that took it.",
    "source.user": "The name the sender identified itself with.",
    "source.tls_subject": "The subject of the sender's certificate.",
    "received": "When it came.",
    "study.objects": "How many objects of its study came together (with wait_for).",
    "study.modalities": "The modalities of its study (with wait_for).",
    "series.objects": "How many objects of its series came together (with wait_for).",
}

EXPECT_WORDS = {
    "send_to": "The destinations, all of them, in any order; []: none.",
    "routes": "The names of all routes that match, in order.",
    "priority": "The priority of every route that sends it.",
    "unrouted": "true: no route must match.",
    "edited": "Values as they arrive at every destination.",
    "removed": "Attributes that arrive nowhere.",
    "transfer_syntax": "What it arrives in at every destination: a UID or a name.",
    "at": "By destination: edited, removed and transfer_syntax there alone.",
    "held": "true: an edit must fail; or a part of the reason.",
}
