"""Digits drawn by nobody: strokes in the styles that people around the world write, drawn by the canvas's own code.

MNIST was written by people in the United States, with a pen, without haste. The table below adds what they seldom
wrote: the flagged 1, the crossed 7, the slashed 0, the 4 and the 5 in one line. What is done to an outline (`sketch`)
adds what a hurried hand, a mouse and a coarse digitiser add.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from cnnviz.inputs.normalise import normalise
from cnnviz.inputs.strokes import MIN_WIDTH, Stroke, rasterise, smooth

DIGITS_PER_WRITER = 8
COARSE = 8
"""The fewest points that a whole digit is sampled at."""

# One line a style: its weight among the digit's styles, then its strokes in the order of writing, parted by "/".
# A point is "x,y" in percent of the digit's box, y down; "a~b" is anything between; "!" marks a sharp corner.
TABLE: dict[int, dict[str, tuple[float, str]]] = {
    0: {
        "from the top": (3, "50,0 14,18 0,52 16,88 50,100 84,88 100,50 86,14 50,0"),
        "from top right": (2, "80,8 50,0 14,16 0,52 16,88 50,100 86,86 100,50 92,20 70,2"),
        "from the left": (0.6, "2,40 12,85 50,100 90,84 100,48 84,10 46,0 12,15 2,40"),
        "clockwise": (1, "46,0 86,14 100,50 84,88 50,100 16,88 0,52 14,16 50,1"),
        "clockwise from the left": (0.4, "0,55 12,14 50,0 88,14 100,52 85,88 50,100 14,88 0,50"),
        "from the bottom": (0.4, "50,100 10,80 2,40 50,0 95,30 92,75 48,100"),
        "open at the top": (0.8, "30~45,2~12 8,22 0,58 18,90 50,100 84,88 100,52 90,20 60~75,0~10"),
        "overlapping": (1, "60,4 25,8 2,45 14,86 52,100 88,84 98,46 80,12 46,2 20~30,10~25"),
        "inner curl": (0.9, "45,2 10,22 0,58 22,94 62,98 94,78 98,40 76,8 50,4 35~45,15~25 45~60,25~38"),
        "pointed": (0.7, "55,0! 12,30 2,65 25,95 55,100 88,90 98,58 85,25 52,0"),
        "square": (0.3, "45,2 8,4 2,50 8,96 50,100 93,95 98,50 92,4 45,2"),
        "two halves": (0.3, "50,0 8,20 0,52 14,86 52,100 / 48,0 90,14 100,50 86,86 50,100"),
        "slashed": (1.6, "50,0 14,18 0,52 16,88 50,100 84,88 100,50 86,14 50,0 / 75~105,-5~20 -5~25,80~105"),
        "slashed within": (0.6, "60,2 14,18 0,52 16,88 50,100 84,88 100,50 86,14 55,1 / 64~75,22~35 25~36,65~78"),
        "slashed downhill": (0.3, "50,0 14,18 0,52 16,88 50,100 84,88 100,50 86,14 50,0 / 5~25,10~25 75~95,75~92"),
        "dotted": (0.15, "50,0 14,18 0,52 16,88 50,100 84,88 100,50 86,14 50,0 / 48,47 52,53"),
    },
    1: {
        "bar": (3, "50,0 50,100"),
        "leaning bar": (1.5, "62~85,0 15~38,100"),
        "bar from below": (0.3, "50,100 52,0"),
        "bent bar": (0.6, "55,0 48~52,30 44~58,70 50,100"),
        "short flag": (2.5, "28~42,12~26 55,0! 55,100"),
        "flag": (2.5, "10~30,22~45 56,0! 56,100"),
        "long flag": (1.6, "0~15,40~70 58,0! 60,100"),
        "roof": (0.6, "0~8,70~98 48,0! 80~92,100"),
        "flag, leaning": (1, "15~35,25~45 78,0! 50~62,100"),
        "curved flag": (1, "8~25,30~45 38,24 56,0! 56,100"),
        "level flag": (0.5, "25~36,3~12 54,0! 54,100"),
        "hooked flag": (0.4, "20~32,26~34 26~34,32~38 56,0! 56,100"),
        "base": (0.6, "50,0 50,100 / 18~32,100 68~82,100"),
        "flag and base": (2, "15~36,14~38 55,0! 55,100 / 15~32,100 72~92,100"),
        "long flag and base": (0.8, "0~12,38~62 55,0! 55,100 / 5~25,99 78~98,100"),
        "flag and wide base": (0.7, "12~30,20~40 52,0! 52,100 / -5~10,100 90~108,99"),
        "base in one line": (0.8, "15~36,14~40 52,0! 52,100! 12~28,100! 75~95,100"),
        "bar and base in one line": (0.2, "52,0! 52,100! 20~30,100! 75~85,100"),
        "foot": (0.5, "25~38,12~30 52,0! 52,94 66~80,98"),
        "up and down": (0.5, "40~48,70~100 52,0! 54,100"),
        "flag afterwards": (0.6, "55,0 54,100 / 55,0 15~36,18~38"),
    },
    2: {
        "flat base": (3, "4,26 18,6 50,0 84,10 90,32 66,62 2,100! 60~100,98~101"),
        "flat base, upright": (1.2, "10,18 45,0 86,14 84,42 50,72 8,100! 92,100"),
        "looped base": (2, "5,25 24,4 60,0 90,20 78,48 42,80 12,98 2,90 16,80 45,88 75,100 100,90~98"),
        "small looped base": (1, "6,22 34,0 78,6 86,32 52,72 16,98 8,90 22,86 60,98 98,94"),
        "wave base": (1.5, "5,30 16,8 50,0 86,14 80,42 46,74 4,100! 34,88 66,98 100,86~96"),
        "z": (1, "4,4 92,2! 4,100! 96,99"),
        "z, round top": (1.2, "2,14 30,2 70,0 92,14! 4,100! 98,98"),
        "curl at start": (1.2, "26~38,28~36 10,34 4,18 30,0 74,3 92,26 66,62 4,100! 96,97"),
        "curl at start, looped base": (0.6, "30,30 8,32 10,10 50,0 88,18 76,50 30,86 6,98 8,86 40,90 98,96"),
        "short base": (0.7, "6,26 22,4 58,0 88,18 78,50 14,100! 50~66,100"),
        "no top": (0.5, "10~25,8~16 62,0 86,16 74,46 2,100! 95,100"),
        "straight neck": (0.7, "4,22 40,0 82,8 80,30! 4,98! 96,98"),
        "soft base": (0.7, "6,24 40,0 84,10 80,42 40,78 12,96 30,100 98,98"),
        "big head": (0.6, "4,34 12,6 52,0 94,12 96,42 60,70 4,90! 50,98 98,96"),
        "falling base": (0.3, "6,24 42,0 84,12 76,48 8,88! 94,102"),
    },
    3: {
        "round": (3, "6,12 42,0 84,8 86,32 38,47! 90,58 96,84 52,100 4,90"),
        "round, soft middle": (1.5, "8,10 45,0 86,12 78,36 48,47 80,56 96,78 60,100 4,90"),
        "middle loop": (1.6, "8,12 45,0 88,14 76,38 44,53 30,48 42,42 78,54 96,78 58,100 4,90"),
        "flat top": (1.6, "6,2 88,2! 40,40! 82,50 96,74 60,100 6,92"),
        "flat top, pointed": (0.8, "4,2 94,0! 46,42! 92,56 90,90 48,102 4,90"),
        "flat top, straight": (0.6, "6,2 90,0! 42,44! 88,68! 6,98"),
        "shallow middle": (1.2, "8,6 60,0 88,20 60~72,46! 94,68 74,98 4,98"),
        "deep middle": (0.8, "8,10 50,0 88,16 70,42 10~22,48! 72,52 96,76 56,100 4,92"),
        "angles": (0.7, "8,4 84,4! 34~44,44! 90,64! 50,98 4,96"),
        "small top": (0.8, "18,10 48,0 74,12 68,30 34,38! 86,48 98,74 64,100 2,92"),
        "small bottom": (0.6, "4,14 44,0 94,12 90,44 36,60! 78,66 82,90 48,100 10,94"),
        "long tail": (0.7, "14,8 52,0 84,14 74,36 42,44! 84,54 94,80 60,100 14,98 0,82"),
        "curl at start": (0.8, "20,22 8,10 44,0 86,12 76,38 40,46! 90,58 92,86 50,100 10,96 4,84"),
        "two bows": (0.5, "6,8 50,0 88,18 74,40 36,46 / 36,46 84,54 96,78 58,100 4,92"),
        "level bars": (0.3, "6,2 84,2 92,24 84,48! 30,48! 86,50 96,76 86,98 6,99"),
    },
    4: {
        "open": (2.4, "18~38,0 4,58~66! 96,56~66 / 62~72,15~40 60~72,100"),
        "open, tall stem": (1.8, "12~25,0 6,50~60! 96,50~60 / 70~80,-2~10 68~78,100"),
        "open, short bar": (1, "16~30,0 8,55~64! 72~80,55~62 / 68~76,10~40 66~74,100"),
        "open, slanting": (1, "34,0 4,62! 94,58 / 78,20~40 48~60,100"),
        "open, round": (1.4, "12,0 4,36 22,56 60,55 92,44 / 86,0~10 82,50 76,100"),
        "che": (1.2, "10,0 6,34 22,52 60,50 86,38 / 90,0 86,100"),
        "che in one line": (0.9, "10,0 8,34 26,52 64,48 88,30! 92,2! 86,100"),
        "one line, open": (1, "14~30,0 6,54~60! 76~84,52~58! 80~88,2~15! 74~82,100"),
        "lightning": (1, "30~48,0 6,58~64! 90~98,56~62! 60~68,30~45! 54~64,100"),
        "closed": (1.6, "68,0 0,66! 100,64 / 68,0 68,100"),
        "closed, one line": (1.6, "100,66 0,66! 68,0! 68,100"),
        "closed, from below": (0.3, "66,100 68,0! 2,66! 100,66"),
        "closed, stem first": (0.5, "68,0 68,100 / 68,0 2,64! 98,64"),
        "closed, bar last": (0.5, "68,100 68,0! 4,60 / 0,64 98,66"),
        "closed, round": (0.7, "80,4 52,8 4,58 20,64 96,60 / 80,4 70,100"),
        "closed, narrow roof": (0.7, "70,0 30,38 6,62! 98,62 / 66,24~36 64,100"),
        "nearly closed": (1.2, "52~62,0 2,64! 98,64 / 68~74,4~24 68,100"),
        "square": (0.7, "6,0 6,50! 92,50 / 88,0 88,100"),
        "square, one line": (0.4, "8,0 8,48! 86,48! 88,0! 88,100"),
        "low stem": (0.6, "22,0 4,50! 96,50 / 62,38~48 60,100"),
        "three strokes": (0.4, "24,0 6,60 / 4,60 96,60 / 68,14~36 66,100"),
        "base": (0.2, "66,0 0,64! 100,64 / 66,0 66,100 / 46,100 88,100"),
        "loop in the corner": (0.4, "24,0 8,48 2,62 14,66 22,58 94,56 / 72,8~30 68,100"),
    },
    5: {
        "bar last": (3, "20,2 14,42! 54,34 92,56 84,90 40,100 2,90 / 20,2 70~100,-2~4"),
        "bar last, high stem": (1, "16,4 14,46! 60,40 90,66 70,98 4,94 / 16,6 82,0"),
        "one line": (2, "90,0 20,1! 14,42! 54,34 92,56 84,90 40,100 2,90"),
        "one line, soft": (1, "88,2 24,2 16,40 54,38 90,60 80,92 36,100 2,90"),
        "bar first": (0.6, "18,0 88,0 / 18,0 14,42! 54,34 92,58 80,94 36,100 2,90"),
        "s": (1.4, "88,4 44,0 14,14 24,38 70,52 92,74 64,98 4,94"),
        "s, open": (0.7, "84,2 30,6 14,28 40,44 84,58 84,88 40,100 4,94"),
        "bar apart": (1.2, "22,10 14,44! 56,36 92,60 78,94 36,100 2,90 / 26~36,-6~2 85~105,-10~2"),
        "bar apart, to the right": (0.6, "22,6 14,44! 56,36 92,60 78,94 36,100 2,90 / 40~55,-4~6 100~115,-8~4"),
        "bar across": (0.5, "24,0 14,44! 56,36 92,60 78,94 36,100 2,90 / -2~10,4~10 84~98,2~8"),
        "square": (0.5, "90,0 16,0! 16,46! 86,46! 86,98! 8,98"),
        "square belly, bar last": (0.3, "18,2 16,46! 70,46 86,52 86,90 70,98 6,98 / 18,2 86,2"),
        "small belly": (0.7, "88,0 22,0! 18,52! 50,48 76,64 70,92 34,100 6,92"),
        "big belly": (0.7, "80,0 32,0! 12,38! 50,28 96,48 92,86 44,102 0,86"),
        "belly without corner": (0.8, "22,2 18,40 46,42 86,58 84,88 44,100 4,92 / 22,2 88,0"),
        "low belly": (0.4, "84,0 20,0! 18,56! 60,54 88,74 66,98 6,96"),
        "curled belly": (0.6, "20,2 14,42! 56,34 94,58 82,92 40,100 8,92 8,80 / 20,2 88,0"),
        "three strokes": (0.4, "20,2 16,42 / 16,42 56,34 92,58 82,92 40,100 4,90 / 20,2 88,0"),
    },
    6: {
        "low loop": (2.4, "74,0 28,26 4,64 18,94 56,100 88,82 72,60 36,58 8,74"),
        "high loop": (1.4, "82,4 34,8 4,50 20,94 66,100 96,72 74,42 34,42 6,62"),
        "straight stem": (1.4, "62~78,0 24,42 4,74 26,99 70,97 86,76 56,58 18,68 6,78"),
        "upright stem": (0.9, "10~24,0 4,45 4,76 26,100 72,98 88,74 60,54 22,58 5,72"),
        "hooked top": (1.2, "90,14 70,0 28,16 4,58 18,94 58,100 90,78 68,54 30,58 8,76"),
        "open loop": (1, "76,0 30,20 4,62 24,98 70,98 86,74 60,56 34,60~66"),
        "inner curl": (0.9, "78,0 30,20 4,62 22,96 70,99 90,74 66,54 38,58 28,72 42,80"),
        "small loop": (0.9, "72,0 26,46 8,82 24,99 54,96 62,82 42,74 14,86"),
        "loop across the stem": (0.9, "74,0 28,26 6,64 20,95 58,100 88,80 66,58 28,60 -12~2,70~78"),
        "wide loop": (0.6, "60,0 18,32 2,68 26,100 80,98 100,76 72,58 30,60 4,74"),
        "slanting": (0.5, "98,0 44,28 8,70 16,96 48,100 72,82 56,64 14,78"),
        "from the loop": (0.3, "10,70 40,54 84,62 90,86 52,100 16,92 4,60 28,20 78,0"),
        "loop apart": (0.4, "74,0 28,26 4,66 14,90 / 8,72 46,54 88,70 70,98 30,100 8,80"),
        "unclosed b": (0.4, "24,0 10,40 10,92! 18,66 56,54 88,72 66,98 14,98"),
    },
    7: {
        "plain": (2, "0,0~8 100,0! 30~50,100"),
        "curved stem": (1.4, "0,2~8 96,0! 62,44 40~50,100"),
        "serif": (1.2, "4,18~28 2,2! 98,0! 34~50,100"),
        "slanting serif": (0.6, "12,20~26 2,4! 96,0! 40~60,100"),
        "wave": (0.9, "2,16 24,2 58,10 98,0! 60,48 40,100"),
        "wave, serif": (0.4, "2,28 8,4 50,10 98,0! 60,48 42,100"),
        "crossed": (3, "0,0~8 98,0! 30~50,100 / 22~38,46~58 80~96,42~56"),
        "crossed, curved": (1.6, "0,2~8 96,0! 62,44 40,100 / 26~40,46~56 78~96,44~56"),
        "crossed, serif": (1.8, "4,18~28 2,2! 98,0! 34~50,100 / 24~38,46~58 80~98,42~56"),
        "crossed, wave": (0.8, "2,16 24,2 58,10 98,0! 60,48 40,100 / 24~38,46~58 80~98,42~56"),
        "crossed, short bar": (0.8, "0,2~8 96,0! 36~46,100 / 42~50,46~56 72~82,42~54"),
        "crossed, rising bar": (0.6, "0,2~8 98,0! 34~46,100 / 24~36,58~66 80~96,36~46"),
        "crossed, falling bar": (0.4, "0,2~8 98,0! 34~46,100 / 24~36,40~46 80~96,54~62"),
        "crossed, upright": (0.9, "4,0~6 84,0! 66~76,100 / 36~50,44~56 96~112,42~54"),
        "upright": (0.8, "2,0~8 86,0! 74~86,100"),
        "soft corner": (0.8, "0,10 58,0 94,12 68,50 44,100"),
        "falling top": (0.5, "0,-6~0 96,6~12! 44,100"),
        "rising top": (0.6, "0,12~20 98,0! 42,100"),
        "short top": (0.5, "24,3~10 84,0! 40~56,100"),
        "hooked foot": (0.3, "0,4 96,0! 60,50 44,92 56,100"),
        "base": (0.15, "0,4 96,0! 44,100 / 22,100 68,100"),
    },
    8: {
        "from top right": (2.4, "84,14 52,0 16,14 26,38 72,58 90,80 50,100 10,80 28,58 72,40 84,16"),
        "from the top": (2, "50,0 16,16 26,38 74,60 92,82 50,100 8,82 26,60 74,38 86,16 52,0"),
        "from top left": (0.9, "16,14 50,0 86,16 74,38 26,60 8,82 50,100 92,82 74,60 26,38 14,16 48,0"),
        "two rings": (1.2, "50,0 16,20 48,46 84,22 50,0 / 50,46 8,72 50,100 92,72 52,46"),
        "two rings, apart": (0.4, "50,0 20,18 50,42 80,20 52,0 / 50,50 8,74 50,100 92,74 52,48"),
        "two rings, turning right": (0.4, "50,0 84,20 50,46 16,22 50,0 / 50,46 92,72 50,100 8,72 50,46"),
        "two rings, lower first": (0.3, "50,44 8,72 50,100 92,72 50,44 / 50,44 16,20 50,0 84,20 50,44"),
        "rings in one line": (0.9, "52,46 16,22 50,0 86,22 50,46 8,72 50,100 92,72 50,46"),
        "rings in one line from the top": (0.7, "50,0 14,20 48,46 86,24 54,2! 52,46 8,74 50,100 92,74 54,48"),
        "from the middle": (1, "50,48 86,20 50,0 14,20 50,48 90,76 50,100 10,76 50,48"),
        "from the middle, left": (0.6, "50,48 14,20 50,0 86,20 50,48 10,76 50,100 90,76 50,48"),
        "open top": (1.2, "78~88,6~14 48,0 14,18 44,44 88,74 52,100 10,78 46,48 84~98,4~22"),
        "open top, left": (0.3, "22,6 52,0 86,18 56,44 12,74 48,100 90,78 54,48 4~16,4~22"),
        "straight back": (1, "86,8 46,0 14,20 80,70 70,96 30,100 12,82! 92,6"),
        "gamma": (0.4, "10,4 74,74 58,100 30,96 28,74 92,2"),
        "hourglass": (0.3, "8,4 90,96! 8,96! 90,4! 8,4"),
        "from the bottom": (0.4, "50,100 10,80 30,56 80,30 52,0 18,24 70,56 90,80 50,100"),
        "small head": (0.7, "68,10 50,0 30,12 38,30 80,56 96,80 50,100 4,80 24,52 64,30 70,12"),
        "big head": (0.5, "92,18 50,0 6,20 24,50 64,68 76,84 50,100 22,86 34,66 80,48 94,20"),
    },
    9: {
        "straight tail": (2.6, "90,16 56,0 12,12 8,36 40,50 84,30 90,8! 84~90,100"),
        "slanting tail": (1.2, "88,18 52,0 12,14 14,40 50,48 86,20! 28~50,100"),
        "curved tail": (1.6, "90,16 54,0 12,14 12,40 50,48 86,24 92,10! 92,56 70,92 14~34,96"),
        "hooked tail": (1.2, "88,14 50,0 12,16 16,42 56,46 88,14! 88,78 64,100 20,96 8~14,80"),
        "round tail": (1, "88,40 46,52 10,34 22,6 64,0 90,24 90,60 66,90 16~40,100"),
        "from the top": (1, "54,0 14,14 12,40 50,50 86,30 84,8 54,0 / 88,10 84,100"),
        "ring and tail": (1.2, "50,0 12,12 8,38 46,52 86,36 84,10 50,0! 86,6! 84,100"),
        "ring apart from tail": (1, "52,0 12,14 10,38 46,52 82,36 80,8 50,0 / 90,2~16 80~92,100"),
        "turning right": (0.8, "86,30 44,50 10,30 40,0 84,10 90,40 80,100"),
        "from the middle": (0.5, "84,44 48,50 10,28 46,0 88,22 84,60 52,100"),
        "open ring": (1, "76~86,10~18 48,0 10,18 16,42 50,48 84,28 / 90,0~10 84,100"),
        "open ring, one line": (0.9, "80,12 46,0 8,22 26,48 62,44 88,22! 86,100"),
        "a": (0.6, "86,6 44,4 6,28 30,50 68,44 88,8! 88,100"),
        "g": (0.7, "88,14 48,0 10,20 24,44 64,42 88,12! 90,74 70,98 34,100 14,86 40,72"),
        "q": (0.5, "88,8 46,0 8,22 28,46 70,42 88,6! 86,94! 104,82"),
        "angles": (0.4, "86,4 10,8! 12,46! 86,44 / 86,2 84,100"),
        "angles, one line": (0.3, "88,46 8,44! 20,4! 86,2! 86,100"),
        "small ring": (0.7, "72,12 48,0 20,10 22,28 52,32 72,10! 60~74,100"),
        "big ring": (0.6, "94,26 52,0 4,20 6,52 46,66 92,42 94,14! 88,100"),
        "from below": (0.3, "30,100 80,64 90,22 56,0 12,14 14,42 52,50 88,26"),
        "overlapping": (0.6, "92,10 58,0 14,12 8,38 44,50 86,28 78,4 / 88,4 82,100"),
    },
}  # fmt: skip


@dataclass(frozen=True)
class Outline:
    """One stroke of a style: the corners of the box that each control point lies in, (n, 2), and which are sharp."""

    low: np.ndarray
    high: np.ndarray
    sharp: np.ndarray


@dataclass(frozen=True)
class Style:
    """One way to write a digit."""

    digit: int
    name: str
    weight: float
    outlines: tuple[Outline, ...]


def _outline(text: str) -> Outline:
    points = [[[float(v) / 100 for v in xy.split("~")] for xy in p.rstrip("!").split(",")] for p in text.split()]
    low, high = (np.array([[xy[end] for xy in point] for point in points]) for end in (0, -1))
    return Outline(low, high, np.array([point.endswith("!") for point in text.split()]))


STYLES: tuple[Style, ...] = tuple(
    Style(digit, name, weight, tuple(map(_outline, strokes.split("/"))))
    for digit, styles in TABLE.items()
    for name, (weight, strokes) in styles.items()
)


@dataclass(frozen=True)
class Writer:
    """What one person's digits have in common."""

    aspect: float  # width over height
    slant: float  # sideways shift per height; positive leans to the right
    rotation: float  # radians
    haste: float  # how far control points stray, as a share of the box
    softness: float  # the chance that a sharp corner is cut round
    tremor: float  # share of the box
    joins: float  # the chance that the pen is not lifted between strokes
    coarse: bool  # whether the device samples few points
    straight: bool  # whether points are joined by straight lines
    pen: float  # share of the canvas


def writer(rng: np.random.Generator) -> Writer:
    """Somebody, at random."""
    return Writer(
        aspect=float(np.clip(rng.lognormal(np.log(0.68), 0.3), 0.35, 1.25)),
        slant=float(np.clip(rng.normal(0.12, 0.22), -0.5, 0.7)),
        rotation=float(np.clip(rng.normal(0, 0.09), -0.25, 0.25)),
        haste=float(rng.uniform(0.015, 0.075)),
        softness=float(rng.choice([0.0, 0.2, 0.8], p=[0.5, 0.3, 0.2])),
        tremor=float(rng.choice([0.0, rng.uniform(0.002, 0.012)])),
        joins=float(rng.choice([0.0, 0.15, 1.0], p=[0.35, 0.15, 0.5])),
        coarse=bool(rng.random() < 0.5),
        straight=bool(rng.random() < 0.5),
        pen=float(np.exp(rng.uniform(np.log(0.012), np.log(0.12)))),
    )


def resample(line: np.ndarray, count: int) -> np.ndarray:
    """`count` points at equal distances along a line of straight pieces, its ends among them. (n, 2) to (count, 2)."""
    lengths = np.sqrt((np.diff(line, axis=0) ** 2).sum(axis=1))
    along = np.concatenate([[0.0], np.cumsum(lengths)])
    at = np.linspace(0, along[-1], count)
    return np.stack([np.interp(at, along, line[:, 0]), np.interp(at, along, line[:, 1])], axis=1)


def _curve(points: np.ndarray, sharp: np.ndarray, bow: float) -> np.ndarray:
    """A curve through control points that breaks at the sharp ones; `bow` bends what would be straight."""
    ends = [0, *(np.flatnonzero(sharp[1:-1]) + 1), len(points) - 1]
    pieces = []
    for start, end in zip(ends[:-1], ends[1:], strict=True):
        piece = points[start : end + 1]
        if len(piece) == 2:
            (ax, ay), (bx, by) = piece
            middle = [(ax + bx) / 2 - bow * (by - ay), (ay + by) / 2 + bow * (bx - ax)]
            piece = np.array([piece[0], middle, piece[1]])
        pieces.append(smooth(piece))
    return np.concatenate([pieces[0], *(piece[1:] for piece in pieces[1:])])


def _ends(line: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Overshoot, stop short or hook at either end of a line."""
    for _ in range(2):
        line = line[::-1]  # both ends in turn, and then the right way round again
        kind = rng.random()
        direction = line[-1] - line[max(-4, -len(line))]
        direction = direction / (np.hypot(*direction) + 1e-6)
        if kind < 0.2:
            line = np.vstack([line, line[-1] + direction * rng.uniform(0.02, 0.13)])
        elif kind < 0.4:
            line = resample(line, 64)
            line = line[: 64 - rng.integers(1, 7)]
        elif kind < 0.52:
            turn = rng.uniform(1.2, 2.8) * rng.choice([-1, 1])
            cos, sin = np.cos(turn), np.sin(turn)
            hook = np.array([cos * direction[0] - sin * direction[1], sin * direction[0] + cos * direction[1]])
            line = np.vstack([line, line[-1] + hook * rng.uniform(0.02, 0.08)])
    return line


def _bend(points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A slow, smooth distortion of the whole digit: proportions shift, straight lines bend."""
    x, y = points[:, 0], points[:, 1]
    a, b, c, d = rng.normal(0, 0.035, 4)
    p, q = rng.normal(0, 0.22, 2)
    u, v = rng.uniform(0, 2 * np.pi, 2)
    # A power moves the waist up or down, the sines bend; both leave the box's size about as it is.
    bx = x + p * x * (1 - x) + a * np.sin(np.pi * y + u) + c * np.sin(2 * np.pi * y + v)
    by = y + q * y * (1 - y) + b * np.sin(np.pi * x + v) + d * np.sin(2 * np.pi * x + u)
    return np.stack([bx, by], axis=1)


def sketch(style: Style, by: Writer, rng: np.random.Generator) -> tuple[Stroke, ...]:
    """One digit in a style, written by somebody: its strokes, all inside the canvas."""
    # What is drawn: every stroke's line in the unit box.
    drift = rng.normal(0, by.haste, 2)
    lines = []
    for outline in style.outlines:
        points = outline.low + rng.random(outline.low.shape) * (outline.high - outline.low)
        points += rng.normal(0, by.haste, points.shape) + drift * rng.normal(0, 1)
        sharp = outline.sharp & (rng.random(len(points)) >= by.softness)
        lines.append(_ends(_curve(points, sharp, float(rng.normal(0, 0.05))), rng))
    # In which order and direction: habit mostly, now and then otherwise.
    if rng.random() < 0.1:
        lines = [lines[i] for i in rng.permutation(len(lines))]
    lines = [line[::-1] if rng.random() < 0.06 else line for line in lines]
    # The pen stays down from one stroke to the next: it drags a line.
    joined = [lines[0]]
    for line in lines[1:]:
        if rng.random() < by.joins:
            joined[-1] = np.vstack([joined[-1], line])
        else:
            joined.append(line)
    # How it is written: proportions, slant, rotation.
    aspect = by.aspect * np.exp(rng.normal(0, 0.12))
    slant, turn = by.slant + rng.normal(0, 0.06), by.rotation + rng.normal(0, 0.04)
    cos, sin = np.cos(turn), np.sin(turn)
    form = np.array([[cos, -sin], [sin, cos]]) @ np.array([[aspect, -slant], [0, 1]])
    counts = [len(line) for line in joined]
    written = (_bend(np.vstack(joined), rng) - 0.5) @ form.T
    joined = np.split(written, np.cumsum(counts)[:-1])
    # How it is sampled: few points with corners cut, or many with a tremor.
    if by.coarse:
        wanted = COARSE if rng.random() < 0.55 else int(rng.integers(COARSE, 41))
        wanted = max(wanted, 5 * len(joined) if len(joined) > 1 else 0)
        lengths = np.array([np.sqrt((np.diff(line, axis=0) ** 2).sum(axis=1)).sum() for line in joined]) + 1e-6
        shares = np.maximum(np.floor(wanted * lengths / lengths.sum()), 2).astype(int)
        shares[lengths.argmax()] = max(wanted - (shares.sum() - shares[lengths.argmax()]), 3)
        joined = [resample(line, share) for line, share in zip(joined, shares, strict=True)]
    else:
        joined = [resample(line, int(rng.integers(24, 64))) for line in joined]
    joined = [line + rng.normal(0, by.tremor, line.shape) if by.tremor else line for line in joined]
    # Where and how large on the canvas, with which pen.
    everything = np.vstack(joined)
    corner, extent = everything.min(axis=0), np.ptp(everything, axis=0)
    size = rng.uniform(0.2, 0.97)
    pen = float(np.clip(by.pen, MIN_WIDTH, 0.25 * size))
    factor = min(size, 0.99 - pen) / extent.max()
    room = 1 - pen - extent * factor
    place = pen / 2 + rng.random(2) * room
    strokes = []
    for line in joined:
        points = ((line - corner) * factor + place).astype(np.float32)
        if by.straight:
            points = _densified(points)
        strokes.append(Stroke(points, pen))
    return tuple(strokes)


def _densified(points: np.ndarray, pieces: int = 8) -> np.ndarray:
    """The same line with more points on it, so that a curve through them stays on the straight pieces."""
    t = np.linspace(0, 1, pieces, endpoint=False, dtype=np.float32)[None, :, None]
    line = points[:-1, None] * (1 - t) + points[1:, None] * t
    return np.vstack([line.reshape(-1, 2), points[-1:]])


def digits(count: int, seed: int, styles: Sequence[Style] = STYLES) -> Iterator[tuple[tuple[Stroke, ...], int]]:
    """Digits as they come from the sketchpad: (strokes, the digit meant).

    Args:
        count: how many.
        seed: the same seed gives the same digits.
        styles: what to choose from; digits are equally frequent, their styles by weight.
    """
    rng = np.random.default_rng(seed)
    known = sorted({style.digit for style in styles})
    of = {digit: [style for style in styles if style.digit == digit] for digit in known}
    odds = {digit: np.cumsum([style.weight for style in of[digit]]) for digit in known}
    for number in range(count):
        if number % DIGITS_PER_WRITER == 0:
            somebody = writer(rng)
        digit = known[rng.integers(len(known))]
        style = of[digit][np.searchsorted(odds[digit], rng.random() * odds[digit][-1])]
        yield sketch(style, somebody, rng), digit


def images(count: int, seed: int, styles: Sequence[Style] = STYLES) -> tuple[np.ndarray, np.ndarray]:
    """The same digits, drawn and brought into MNIST's form: uint8 (count, 28, 28) and uint8 (count,)."""
    pictures = np.zeros((count, 28, 28), np.uint8)
    labels = np.zeros(count, np.uint8)
    for number, (strokes, digit) in enumerate(digits(count, seed, styles)):
        pictures[number] = normalise(rasterise(strokes)).steps[-1].picture
        labels[number] = digit
    return pictures, labels
