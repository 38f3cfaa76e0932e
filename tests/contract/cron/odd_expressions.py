"""Expressions at the edges of what robfig/cron takes, split at the bars and at the line ends."""

ODD_EXPRESSIONS = """
* * * * *|? ? ? ? ?|*/1 * * * *|*/2 * */2 * */2|0 0 13 * */1|0 0 13 * */2|0 0 13 * ?|0 0 13 * 5|0 0 */2 * 5
0 0 * * 7|60 * * * *|* 24 * * *|* * 0 * *|* * 32 * *|* * * 0 *|* * * 13 *|*/0 * * * *|5/15 * * * *|*/100 * * * *
59/2 * * * *|0 0 30 2 *|0 0 31 4,6,9,11 *|0 0 29 2 *|0 0 29 FEB mon|0 0 * JAN mon|0 0 * jAn-mAr MON-fri
0 0 * january *|0 0 * * sunday|0 0 * 1-13 *|0 0 * * 5-1|0 0 * * fri-mon|10-5 * * * *|1,,2 * * * *|,1, * * * *
1, * * * *|, * * 1 1|0 0 , * 1|0 0 , * *|* * * *|* * * * * *|@hourly|@HOURLY| @hourly|@hourly |@reboot|@|@every
@every |@every 1h30m|@every 1.5h|@every -1h|@every 100ms|@every 0|@every +5m|@every 1|@every 1h 30m|@every 1d
@every .s|@every .5m|@every 1.h|@every 1..5h|@every 1e3s|@every 90.999s|@every 9223372036s|@every 9223372037s
@every 2562047h47m16.854775807s|@every 9223372036854775807ns|@every 9223372036854775808ns
@every -9223372036854775808ns|@every 9223372036854775808ns9223372036854775808ns
@every 0.9999999999999999999999999h|@every 00000000000000000000000000090m|@every 5μs90s|@every 1h1h|@every  1h
@every 1h\t|*-5 * * * *|*-x * * * *|?-1-2-3/7 * * * *|*x * * * *|** * * * *|1-2-3 * * * *|1/2/3 * * * *
*/ * * * *|/5 * * * *|-5 * * * *|5- * * * *|+5 * * * *|+5-+10/+2 * * * *|1--2 * * * *|*/-0 * * * *|*/-5 * * * *
0x5 * * * *|1_0 * * * *|5.0 * * * *|٣ * * * *|9223372036854775807 * * * *|9223372036854775808 * * * *
*/9223372036854775807 * * * *|*/9223372036854775808 * * * *
0000000000000000000000000000000000000000000005 * * * *|0-59/59 * * * *|*/60 * * * *|0 0 1-31/30 * *|0 0 1 */11 *
0 0 * * frİ|0 0 * * MoN|0 0 * * ſun|\t0\v0\f1 * *\n|0\xa00\x851\u2003*\u3000*|0\x1c0 1 * *|0\u200b0 1 * *|TZ=UTC
TZ=UTC * * * * *|TZ= 0 1 * * *|TZ=Local 0 1 * * *|CRON_TZ=Asia/Kathmandu 0 1 * * *
CRON_TZ=Asia/Kathmandu\t0 1 * * *|TZ=Asia/Kathmandu   @daily |TZ=UTC TZ=UTC * * * * *
TZ=asia/kathmandu 0 1 * * *|TZ=/Asia/Kathmandu 0 1 * * *|TZ=Asia//Kathmandu 0 1 * * *
TZ=Asia/./Kathmandu 0 1 * * *|TZ=Asia/ 0 1 * * *|TZ=Asia 0 1 * * *|TZ=Asia/Kathmandu/ 0 1 * * *
TZ=Asia/../UTC 0 1 * * *|TZ=zone.tab 0 1 * * *|TZ=. 0 1 * * *|TZ=Etc/GMT+5 @every 1h|TZ=\\UTC 0 1 * * *
tz=UTC 0 1 * * *|TZ =UTC 0 1 * * *| TZ=UTC 0 1 * * *|CRON_TZ=|TZ=UTC |TZ=UTC @|0 0 L * *|0 0 15W * *|0 0 * * 1#2
H * * * *
""".replace("\n", "|").split("|")
