"""The values that the standard gives to attributes by which objects are routed (PS3.3, PS3.16).

Of an attribute with enumerated values no other is valid. Defined terms may be added to by whoever
makes a device, so a value that is none of them is at most suspicious.
"""

from __future__ import annotations

from collections.abc import Mapping

YES_NO = "YES NO"


def _terms(words: str) -> frozenset[str]:
    return frozenset(words.split())


ENUMERATED: Mapping[str, frozenset[str]] = {
    keyword: frozenset(values.split("|") if "|" in values else values.split())
    for keyword, values in {
        "PatientSex": "M F O",
        "Laterality": "R L",
        "ImageLaterality": "R L U B",
        "FrameLaterality": "R L U B",
        "BurnedInAnnotation": YES_NO,
        "RecognizableVisualFeatures": YES_NO,
        "LossyImageCompression": "00 01",
        "PatientIdentityRemoved": YES_NO,
        "QualityControlImage": "YES NO BOTH",
        "QualityControlSubject": YES_NO,
        "PresentationIntentType": "FOR PRESENTATION|FOR PROCESSING",
        "CompletionFlag": "PARTIAL COMPLETE",
        "VerificationFlag": "UNVERIFIED VERIFIED",
        "PreliminaryFlag": "PRELIMINARY FINAL",
        "MRAcquisitionType": "2D 3D",
        "ContentQualification": "PRODUCT RESEARCH SERVICE",
        "PixelRepresentation": "0 1",
        "PlanarConfiguration": "0 1",
        "SamplesPerPixel": "1 3 4",
        "TypeOfPatientID": "TEXT RFID BARCODE",
        "AnatomicalOrientationType": "BIPED QUADRUPED",
        "VolumetricProperties": "VOLUME SAMPLED DISTORTED MIXED",
        "PixelPresentation": "COLOR MONOCHROME MIXED TRUE_COLOR",
        "ApprovalStatus": "APPROVED UNAPPROVED REJECTED",
        "DoseType": "PHYSICAL EFFECTIVE ERROR",
        "LongitudinalTemporalInformationModified": "UNMODIFIED MODIFIED REMOVED",
        "PregnancyStatus": "1 2 3 4",
        "SmokingStatus": "YES NO UNKNOWN",
    }.items()
}

_MODALITIES = """
ANN AR ASMT AU BDUS BI BMD CFM CR CT CTPROTOCOL DMS DG DOC DX ECG EEG EMG EOG EPS ES FID GM HC HD
IO IOL IVOCT IVUS KER KO LEN LS MG MR M3D NM OAM OCT OP OPM OPR OPT OPTBSV OPTENF OPV OSS OT PA
PLAN POS PR PT PX REG RESP RF RG RTDOSE RTIMAGE RTINTENT RTPLAN RTRAD RTRECORD RTSEGANN RTSTRUCT
RWV SEG SM SMR SR SRF STAIN TEXTUREMAP TG US VA XA XAPROTOCOL XC
AS CD CF CP CS DD DF DM DS EC FA FS LP MA MS OPENT ST TEXT VF
"""  # the last line is retired, and still met

_BODY_PARTS = """
ABDOMEN ABDOMENPELVIS ADRENAL ANKLE AORTA ARM AXILLA BACK BLADDER BRAIN BREAST BRONCHUS BUTTOCK
CALCANEUS CALF CAROTID CEREBELLUM CERVIX CHEEK CHEST CHESTABDOMEN CHESTABDPELVIS CIRCLEOFWILLIS
CLAVICLE COCCYX COLON CORNEA CORONARYARTERY CSPINE CTSPINE DUODENUM EAR ELBOW ESOPHAGUS EXTREMITY
EYE EYELID FACE FEMUR FINGER FOOT GALLBLADDER HAND HEAD HEADNECK HEART HIP HUMERUS IAC ILEUM ILIUM
JAW JEJUNUM KIDNEY KNEE LARYNX LEG LIVER LSPINE LSSPINE LUNG MAXILLA MEDIASTINUM MOUTH NECK
NECKCHEST NECKCHESTABDOMEN NECKCHESTABDPELV NOSE ORBIT OVARY PANCREAS PAROTID PATELLA PELVIS PENIS
PHARYNX PROSTATE RECTUM RIB SCALP SCAPULA SCLERA SCROTUM SHOULDER SKULL SPINE SPLEEN SSPINE STERNUM
STOMACH SUBMANDIBULAR TESTIS THIGH THORAX THUMB THYMUS THYROID TLSPINE TMJOINT TOE TONGUE TRACHEA
TSPINE URETER URETHRA UTERUS VAGINA VULVA WHOLEBODY WRIST ZYGOMA
"""

DEFINED: Mapping[str, frozenset[str]] = {
    "Modality": _terms(_MODALITIES),
    "BodyPartExamined": _terms(_BODY_PARTS),
    "PatientPosition": _terms(
        "HFP HFS HFDR HFDL FFDR FFDL FFP FFS LFP LFS RFP RFS AFDR AFDL PFDR PFDL"
    ),
    "PhotometricInterpretation": _terms(
        "MONOCHROME1 MONOCHROME2 RGB YBR_FULL YBR_FULL_422 YBR_PARTIAL_420 YBR_PARTIAL_422 "
        "YBR_ICT YBR_RCT XYB HSV ARGB CMYK"
    )
    | {"PALETTE COLOR"},
    "ConversionType": _terms("DV DI DF WSD SD SI DRW SYN"),
}
