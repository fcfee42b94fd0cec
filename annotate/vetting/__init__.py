"""The sums of vetting: who may judge, what an answer is worth where the right one is known, and who drifts away from it.

rules           when results are enough to approve or reject somebody
characteristic  how often such a rule is right, and after how many items: worked out, and by simulation
scoring         an answer beside the known one
researchers     the answer that researchers share, and how often one of them gives it
watching        drift, streaks, sides and speed of somebody who was let in
gold            how many items with a known answer to hand out, how long they last, and which are themselves wrong

Pure: results come in as numbers and values, nothing is read or written.
"""
