"""Match documents in the format of Riot's MATCH-V5, made up from a seed.

``python -m tests.upstreams.match_v5 --out DIR --matches 1000 --seed 1`` writes one file a match, every tenth
packed by gzip, in a folder per patch; two in a hundred are remakes. The same seed gives the same bytes. Some
champions are made to be good together and against each other, so that an index over the documents has something
to show. Fields and their nesting follow Riot's documentation; the numbers in fields that nobody here reads are
random.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

_CHAMPIONS = """
Annie 1 Olaf 2 Galio 3 TwistedFate 4 XinZhao 5 Urgot 6 Leblanc 7 Vladimir 8 Fiddlesticks 9 Kayle 10 MasterYi 11
Alistar 12 Ryze 13 Sion 14 Sivir 15 Soraka 16 Teemo 17 Tristana 18 Warwick 19 Nunu 20 MissFortune 21 Ashe 22
Tryndamere 23 Jax 24 Morgana 25 Zilean 26 Singed 27 Evelynn 28 Twitch 29 Karthus 30 Chogath 31 Amumu 32 Rammus 33
Anivia 34 Shaco 35 DrMundo 36 Sona 37 Kassadin 38 Irelia 39 Janna 40 Gangplank 41 Corki 42 Karma 43 Taric 44 Veigar 45
Trundle 48 Swain 50 Caitlyn 51 Blitzcrank 53 Malphite 54 Katarina 55 Nocturne 56 Maokai 57 Renekton 58 JarvanIV 59
Elise 60 Orianna 61 MonkeyKing 62 Brand 63 LeeSin 64 Vayne 67 Rumble 68 Cassiopeia 69 Skarner 72 Heimerdinger 74
Nasus 75 Nidalee 76 Udyr 77 Poppy 78 Gragas 79 Pantheon 80 Ezreal 81 Mordekaiser 82 Yorick 83 Akali 84 Kennen 85
Garen 86 Leona 89 Malzahar 90 Talon 91 Riven 92 KogMaw 96 Shen 98 Lux 99 Xerath 101 Shyvana 102 Ahri 103 Graves 104
Fizz 105 Volibear 106 Rengar 107 Varus 110 Nautilus 111 Viktor 112 Sejuani 113 Fiora 114 Ziggs 115 Lulu 117 Draven 119
Hecarim 120 Khazix 121 Darius 122 Jayce 126 Lissandra 127 Diana 131 Quinn 133 Syndra 134 AurelionSol 136 Kayn 141
Zoe 142 Zyra 143 Kaisa 145 Seraphine 147 Gnar 150 Zac 154 Yasuo 157 Velkoz 161 Taliyah 163 Camille 164 Akshan 166
Belveth 200 Braum 201 Jhin 202 Kindred 203 Zeri 221 Jinx 222 TahmKench 223 Briar 233 Viego 234 Senna 235 Lucian 236
Zed 238 Kled 240 Ekko 245 Qiyana 246 Vi 254 Aatrox 266 Nami 267 Azir 268 Yuumi 350 Samira 360 Thresh 412 Illaoi 420
RekSai 421 Ivern 427 Kalista 429 Bard 432 Rakan 497 Xayah 498 Ornn 516 Sylas 517 Neeko 518 Aphelios 523 Rell 526
Pyke 555 Vex 711 Yone 777 Ambessa 799 Mel 800 Yunara 804 Sett 875 Lillia 876 Gwen 887 Renata 888 Aurora 893 Nilah 895
KSante 897 Smolder 901 Milio 902 Hwei 910 Naafiri 950
"""
CHAMPIONS = dict(zip(_CHAMPIONS.split()[::2], map(int, _CHAMPIONS.split()[1::2]), strict=True))
"""``championName`` to ``championId``."""

PATCHES = {"15.19": "15.19.715.1836", "15.20": "15.20.717.2831", "15.21": "15.21.719.4034"}
"""The patches that generated matches are played on, with their ``gameVersion``."""

_COUNTERS = """
allInPings assistMePings assists baronKills basicPings bountyLevel champExperience champLevel championTransform
commandPings consumablesPurchased damageDealtToBuildings damageDealtToEpicMonsters damageDealtToObjectives
damageDealtToTurrets damageSelfMitigated dangerPings deaths detectorWardsPlaced doubleKills dragonKills
enemyMissingPings enemyVisionPings getBackPings goldEarned goldSpent holdPings inhibitorKills inhibitorTakedowns
inhibitorsLost item0 item1 item2 item3 item4 item5 item6 itemsPurchased killingSprees kills largestCriticalStrike
largestKillingSpree largestMultiKill longestTimeSpentLiving magicDamageDealt magicDamageDealtToChampions
magicDamageTaken needVisionPings neutralMinionsKilled nexusKills nexusLost nexusTakedowns objectivesStolen
objectivesStolenAssists onMyWayPings pentaKills physicalDamageDealt physicalDamageDealtToChampions physicalDamageTaken
profileIcon pushPings quadraKills retreatPings sightWardsBoughtInGame spell1Casts spell2Casts spell3Casts spell4Casts
summoner1Casts summoner1Id summoner2Casts summoner2Id summonerLevel timeCCingOthers timePlayed
totalAllyJungleMinionsKilled totalDamageDealt totalDamageDealtToChampions totalDamageShieldedOnTeammates
totalDamageTaken totalEnemyJungleMinionsKilled totalHeal totalHealsOnTeammates totalMinionsKilled totalTimeCCDealt
totalTimeSpentDead totalUnitsHealed tripleKills trueDamageDealt trueDamageDealtToChampions trueDamageTaken turretKills
turretTakedowns turretsLost unrealKills visionClearedPings visionScore visionWardsBoughtInGame wardsKilled wardsPlaced
"""
_CHALLENGES = """
12AssistStreakCount abilityUses acesBefore15Minutes alliedJungleMonsterKills baronTakedowns bountyGold buffsStolen
controlWardsPlaced damagePerMinute damageTakenOnTeamPercentage deathsByEnemyChamps dodgeSkillShotsSmallWindow
dragonTakedowns effectiveHealAndShielding enemyChampionImmobilizations enemyJungleMonsterKills epicMonsterSteals
flawlessAces fullTeamTakedown gameLength goldPerMinute immobilizeAndKillWithAlly initialBuffCount initialCrabCount
jungleCsBefore10Minutes kda killParticipation killingSprees killsNearEnemyTurret killsUnderOwnTurret
knockEnemyIntoTeamAndKill landSkillShotsEarlyGame laneMinionsFirst10Minutes maxCsAdvantageOnLaneOpponent
maxLevelLeadLaneOpponent multikills outnumberedKills pickKillWithAlly quickCleanse saveAllyFromDeath scuttleCrabKills
skillshotsDodged skillshotsHit soloKills stealthWardsPlaced survivedSingleDigitHpCount takedowns teamDamagePercentage
turretPlatesTaken turretTakedowns twentyMinionsIn3SecondsCount visionScorePerMinute wardTakedowns wardsGuarded
"""
_POSITIONS = ("TOP", "JUNGLE", "MIDDLE", "BOTTOM", "UTILITY")
_START = 1_760_000_000_000  # milliseconds, October 2025


def document(
    match_id: str,
    blue: Sequence[str],
    red: Sequence[str],
    *,
    blue_won: bool,
    patch: str = "15.20",
    remake: bool = False,
) -> dict[str, object]:
    """The document of one match: champions by name in the order of the positions, ranked solo queue."""
    rng = random.Random(match_id)
    game_id = int(match_id.rpartition("_")[2])
    players = [(name, 100, blue_won) for name in blue] + [(name, 200, not blue_won) for name in red]
    puuids = [_text(rng, 78) for _ in players]
    duration = rng.randrange(90, 235) if remake else rng.randrange(900, 2700)
    started = _START + game_id * 1000
    return {
        "metadata": {"dataVersion": "2", "matchId": match_id, "participants": puuids},
        "info": {
            "endOfGameResult": "GameComplete",
            "gameCreation": started - 60_000,
            "gameDuration": duration,
            "gameEndTimestamp": started + duration * 1000,
            "gameId": game_id,
            "gameMode": "CLASSIC",
            "gameName": f"teambuilder-match-{game_id}",
            "gameStartTimestamp": started,
            "gameType": "MATCHED_GAME",
            "gameVersion": PATCHES.get(patch, f"{patch}.700.1000"),
            "mapId": 11,
            "participants": [
                _participant(rng, number, player, puuid, remake)
                for number, (player, puuid) in enumerate(zip(players, puuids, strict=True))
            ],
            "platformId": match_id.partition("_")[0],
            "queueId": 420,
            "teams": [_team(rng, 100, blue_won), _team(rng, 200, not blue_won)],
            "tournamentCode": "",
        },
    }


def matches(count: int, seed: int) -> Iterator[tuple[str, dict[str, object]]]:
    """Made-up matches with the patch of each."""
    rng = random.Random(seed)
    for number in range(count):
        names = rng.sample(sorted(CHAMPIONS), 10)
        advantage = _strength(names[:5], names[5:]) - _strength(names[5:], names[:5])
        patch = rng.choice(sorted(PATCHES))
        blue_won, remake = rng.random() < 0.5 + advantage, rng.random() < 0.02
        match_id = f"EUW1_{7_000_000_000 + seed * 10_000_000 + number}"
        yield patch, document(match_id, names[:5], names[5:], blue_won=blue_won, patch=patch, remake=remake)


def write(folder: Path, count: int, seed: int) -> None:
    """Write made-up matches, one file each, into a folder per patch."""
    for number, (patch, match) in enumerate(matches(count, seed)):
        text = json.dumps(match, separators=(",", ":")).encode()
        path = folder / patch / f"{7_000_000_000 + seed * 10_000_000 + number}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        if number % 10 == 9:
            path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(text, compresslevel=1, mtime=0))
        else:
            path.write_bytes(text)


def _strength(team: Sequence[str], others: Sequence[str]) -> float:
    """Between 0 and 0.45: each champion has a friend it plays well with and a prey that it beats."""
    order = sorted(CHAMPIONS)
    friends = sum(order[(order.index(name) + 1) % len(order)] in team for name in team)
    prey = sum(order[(order.index(name) + 7) % len(order)] in others for name in team)
    return min(0.45, 0.15 * friends + 0.15 * prey)


def _participant(
    rng: random.Random, number: int, player: tuple[str, int, bool], puuid: str, remake: bool
) -> dict[str, object]:
    name, team, won = player
    position = _POSITIONS[number % 5]
    return {
        **_numbers(rng, _COUNTERS, 40_000),
        "challenges": _numbers(rng, _CHALLENGES, 2_000),
        "championId": CHAMPIONS.get(name, 0),
        "championName": name,
        "eligibleForProgression": not remake,
        "firstBloodAssist": False,
        "firstBloodKill": False,
        "firstTowerAssist": False,
        "firstTowerKill": False,
        "gameEndedInEarlySurrender": remake,
        "gameEndedInSurrender": remake,
        "individualPosition": position,
        "lane": position,
        "participantId": number + 1,
        "perks": {"statPerks": {"defense": 5002, "flex": 5008, "offense": 5005}, "styles": [_style(rng), _style(rng)]},
        "puuid": puuid,
        "riotIdGameName": f"player {rng.randrange(10_000)}",
        "riotIdTagline": "EUW",
        "role": "SOLO",
        "summonerId": _text(rng, 47),
        "teamEarlySurrendered": False,
        "teamId": team,
        "teamPosition": position,
        "win": won,
    }


def _numbers(rng: random.Random, names: str, below: int) -> dict[str, object]:
    fields = names.split()
    return dict(zip(fields, rng.choices(range(below), k=len(fields)), strict=True))


def _style(rng: random.Random) -> dict[str, object]:
    selections = [
        {"perk": rng.randrange(8000, 9200), "var1": rng.randrange(3000), "var2": 0, "var3": 0} for _ in range(3)
    ]
    return {"description": "primaryStyle", "selections": selections, "style": 8000}


def _team(rng: random.Random, team: int, won: bool) -> dict[str, object]:
    kinds = ("atakhan", "baron", "champion", "dragon", "horde", "inhibitor", "riftHerald", "tower")
    return {
        "bans": [{"championId": rng.choice(list(CHAMPIONS.values())), "pickTurn": turn} for turn in range(1, 6)],
        "feats": {
            "EPIC_MONSTER_KILL": {"featState": 0},
            "FIRST_BLOOD": {"featState": 0},
            "FIRST_TURRET": {"featState": 0},
        },
        "objectives": {kind: {"first": False, "kills": rng.randrange(9)} for kind in kinds},
        "teamId": team,
        "win": won,
    }


def _text(rng: random.Random, length: int) -> str:
    return "".join(rng.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", k=length))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Write made-up match documents in the format of Riot's MATCH-V5.")
    parser.add_argument("--out", type=Path, required=True, help="folder to write into, such as ROOT/data/processed")
    parser.add_argument("--matches", type=int, default=1000, help="how many (default 1000)")
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same files (default 1)")
    options = parser.parse_args()
    write(options.out, options.matches, options.seed)
    print(f"{options.matches} made-up matches in {options.out}")
